"""Mirrors of runs' metrics in TensorBoard and Weights & Biases."""

import importlib.util
import json
import shutil
import subprocess
import sys
import threading

import pytest

from studies.catalog import PROJECT
from studies.mirror import main
from studies.mirroring.background import mirrored
from studies.mirroring.event_files import TensorBoard
from studies.mirroring.mirror import Mirror
from tests.studies import toy
from tests.studies.recorded import Recorded

pytest.importorskip("tensorboard", reason="the package tensorboard is not installed")
from tests.studies.mirroring.tracked import history, is_whole, scalars, tags


@pytest.fixture
def study(tmp_path):
    planted = Recorded(tmp_path / "toy", seeds=(0,), steps=6)
    planted.write()
    return planted


def mirror(study, *arguments):
    return main([str(study.folder), "--to", "tensorboard", *arguments])


def loss(study, seed=0):
    return scalars(study.folder, f"grpo-seed{seed}", "train/loss")


def write_metrics(study, losses, state="running"):
    lines = [
        json.dumps(study._step("grpo", 0, step) | {"train/loss": value})
        for step, value in enumerate(losses, 1)
    ]
    (study.run("grpo", 0) / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    study.write_status("grpo", 0, state, None, len(losses))


def test_every_number_of_every_step_is_mirrored(study):
    assert mirror(study) == 0
    assert loss(study) == [(step, round(1 / step, 6)) for step in range(1, 7)]
    assert scalars(study.folder, "grpo-seed0", "rollout/outcomes/correct") == [(s, 1.0) for s in range(1, 7)]
    assert "rollout/solve_rates" not in tags(study.folder, "grpo-seed0")


def test_validations_and_final_scores_are_mirrored_at_their_steps(study):
    mirror(study)
    # Of additions 2 are validated, of which grpo solves both; in the end it solves 2.5 of 4.
    assert scalars(study.folder, "grpo-seed0", "validation/add") == [(2, 1.0), (4, 1.0), (6, 1.0)]
    assert scalars(study.folder, "grpo-seed0", "eval/add") == [(6, 0.625)]
    assert scalars(study.folder, "grpo-seed0", "eval/mean") == [(6, 0.8125)]
    assert scalars(study.folder, "base-seed0", "eval/add") == [(0, 0.25)]


def test_a_second_time_adds_nothing(study):
    mirror(study)
    before = {path: path.read_bytes() for path in (study.folder / "mirrors").rglob("events*")}
    assert mirror(study) == 0
    assert {path: path.read_bytes() for path in (study.folder / "mirrors").rglob("events*")} == before


def test_records_are_untouched(study):
    before = {path: path.read_bytes() for path in (study.folder / "runs").rglob("*") if path.is_file()}
    mirror(study)
    assert {p: p.read_bytes() for p in (study.folder / "runs").rglob("*") if p.is_file()} == before


def test_new_steps_are_added_and_a_line_that_is_being_written_waits(study):
    write_metrics(study, [1.0, 0.5])
    with (study.run("grpo", 0) / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "train/lo')
    assert mirror(study) == 0
    assert loss(study) == [(1, 1.0), (2, 0.5)]
    write_metrics(study, [1.0, 0.5, 0.25])
    mirror(study)
    assert loss(study) == [(1, 1.0), (2, 0.5), (3, 0.25)]


def test_steps_that_a_run_took_back_are_taken_back(study):
    write_metrics(study, [1.0, 0.5, 0.25, 0.125])
    mirror(study)
    write_metrics(study, [1.0, 0.5])
    mirror(study)
    assert loss(study) == [(1, 1.0), (2, 0.5)]
    write_metrics(study, [1.0, 0.5, 0.75, 0.875, 0.9375])
    mirror(study)
    assert loss(study) == [(1, 1.0), (2, 0.5), (3, 0.75), (4, 0.875), (5, 0.9375)]


class DiesAfterWriting(TensorBoard):
    """Writes points, and ends before anybody can remember that they are there."""

    def open(self, place, purge_step):
        sink = super().open(place, purge_step)
        write = sink.write

        def write_and_die(points):
            write(points)
            raise InterruptedError

        sink.write = write_and_die
        return sink


def test_points_that_a_killed_mirror_left_behind_are_not_doubled(study):
    dying = Mirror(study.folder, "tensorboard", DiesAfterWriting())
    shutil.rmtree(study.run("base", 0))
    with pytest.raises(InterruptedError):
        dying.take()
    dying.close()
    assert len(loss(study)) == 6, "they are there"
    mirror(study)
    assert [step for step, _ in loss(study)] == [1, 2, 3, 4, 5, 6]


def test_a_mirror_that_was_thrown_away_is_made_again(study):
    mirror(study)
    shutil.rmtree(study.folder / "mirrors/tensorboard")
    mirror(study)
    assert [step for step, _ in loss(study)] == [1, 2, 3, 4, 5, 6]


def test_a_damaged_run_is_named_and_others_are_mirrored(study, capsys):
    path = study.run("grpo", 0) / "metrics.jsonl"
    path.write_text(path.read_text().replace('"step": 2', '"step" 2'))
    assert mirror(study) == 1
    assert "not mirrored: runs/grpo-seed0: metrics.jsonl line 2: " in capsys.readouterr().err
    assert scalars(study.folder, "base-seed0", "eval/add") == [(0, 0.25)]


def test_following_ends_with_the_last_run(study):
    write_metrics(study, [1.0, 0.5])
    codes = []
    thread = threading.Thread(target=lambda: codes.append(mirror(study, "--follow")))
    thread.start()
    toy.wait_for(lambda: (study.folder / "mirrors/tensorboard/grpo-seed0").exists())
    assert thread.is_alive()
    write_metrics(study, [1.0, 0.5, 0.25], state="failed")
    thread.join(20)
    assert codes == [0]
    assert loss(study) == [(1, 1.0), (2, 0.5), (3, 0.25)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a mirror with --to; known: tensorboard, wandb"),
        (("--to", "tensorbord"), "unknown mirror 'tensorbord'; did you mean tensorboard?"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(study, capsys, arguments, message):
    assert main([str(study.folder), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_a_study_and_a_view_are_refused(study, tmp_path, capsys):
    view = tmp_path / "view"
    view.mkdir()
    assert main([str(view), "--to", "tensorboard"]) == 2
    assert "study.json is missing" in capsys.readouterr().err
    (view / "study.json").write_text(json.dumps({"study": "view", "runs_in": "../toy"}))
    assert main([str(view), "--to", "tensorboard"]) == 2
    assert "mirror that folder" in capsys.readouterr().err


def test_two_processes_do_not_mirror_the_same_study_at_once(study, capsys):
    with mirrored(study.folder, ["tensorboard"]):
        toy.wait_for(lambda: (study.folder / "mirrors/tensorboard.lock").exists())
        assert mirror(study) == 2
        assert "another process mirrors" in capsys.readouterr().err
    assert mirror(study) == 0


def test_a_missing_package_is_named_with_the_way_out(study, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else find(name))
    assert main([str(study.folder), "--to", "wandb"]) == 2
    said = capsys.readouterr().err
    assert "needs the package wandb, which is not installed: pip install" in said
    assert "[mirrors]" in said


def test_a_study_mirrors_its_runs_while_they_go_on(tmp_path):
    code, _, err = toy.run(tmp_path, "--seeds", "1", "--mirror", "tensorboard")
    assert code == 0, err
    folder = tmp_path / "toy"
    for run in ("sft-seed0", "grpo-seed0"):
        assert [step for step, _ in scalars(folder, run, "rollout/solve_rate")] == [1, 2, 3, 4, 5, 6]
        assert len(scalars(folder, run, "eval/tiny_add2")) == 1


def test_a_mirror_that_fails_stops_no_study_and_says_so_once(tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "mirrors").write_text("no folder")
    code, out, err = toy.run(tmp_path, "--seeds", "1", "--mirror", "tensorboard")
    assert code == 0
    assert err.count("a mirror has failed and is given up, the study goes on: ") == 1
    assert "complete" in out


def test_a_study_refuses_an_unknown_mirror_before_anything_runs(tmp_path):
    code, out, err = toy.run(tmp_path, "--mirror", "mlflow")
    assert (code, out) == (2, "")
    assert "unknown mirror 'mlflow'" in err
    assert not (tmp_path / "toy" / "runs").exists()


def test_help_loads_no_heavy_package():
    code = (
        "import sys\n"
        "from studies.mirror import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print({'torch', 'tensorboard', 'wandb', 'pandas'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "set()"


class TestWeightsAndBiases:
    """The same in files of Weights & Biases, which no account is needed for."""

    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("wandb", reason="the package wandb is not installed")

    def mirror(self, study):
        """Mirror, and wait until wandb's own process has its files on the disk."""
        code = main([str(study.folder), "--to", "wandb", "--offline"])
        toy.wait_for(lambda: self.files(study) and all(map(is_whole, self.files(study))))
        return code

    def files(self, study, run="grpo-seed0"):
        return sorted((study.folder / "mirrors/wandb/wandb").glob(f"offline-run-*-toy-{run}-*/*.wandb"))

    def steps(self, study, name="train/loss"):
        return [(r["step"], r[name]) for path in self.files(study) for r in history(path) if name in r]

    def test_every_step_is_logged_once_however_often_it_is_mirrored(self, study):
        write_metrics(study, [1.0, 0.5])
        assert self.mirror(study) == 0
        assert self.mirror(study) == 0
        write_metrics(study, [1.0, 0.5, 0.25])
        assert self.mirror(study) == 0
        assert self.steps(study) == [(1, 1.0), (2, 0.5), (3, 0.25)]
        assert len({path.name for path in self.files(study)}) == 1, "the run has one id"

    def test_scores_are_logged(self, study):
        assert self.mirror(study) == 0
        assert self.steps(study, "validation/add") == [(2, 1.0), (4, 1.0), (6, 1.0)]
        assert self.steps(study, "eval/add") == [(6, 0.625)]

    def test_a_run_that_took_steps_back_begins_anew_under_another_id(self, study):
        write_metrics(study, [1.0, 0.5, 0.25])
        self.mirror(study)
        write_metrics(study, [1.0, 0.75])
        self.mirror(study)
        first, second = self.files(study)
        assert first.name != second.name
        assert [(row["step"], row["train/loss"]) for row in history(second) if "train/loss" in row] == [
            (1, 1.0),
            (2, 0.75),
        ]
