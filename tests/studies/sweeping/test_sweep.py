import json
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

from studies.catalog import PROJECT
from studies.directories import read_status
from studies.run import main as run_study
from tests.studies import toy as study
from tests.studies.sweeping import toy

TRIALS = ("--trials", "8")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results of eight trials, and what their command printed."""
    results = tmp_path_factory.mktemp("undisturbed")
    return results, toy.run(results, *TRIALS)


def test_a_sweep_prints_its_table_and_leaves_figures_and_a_page(undisturbed):
    results, (code, out, err) = undisturbed
    assert code == 0, err
    folder = results / toy.FOLDER
    assert out == (folder / "table.md").read_text() + "\n"
    files = {path.name for path in folder.iterdir()}
    wanted = {
        "table.csv",
        "table.tex",
        "report.html",
        "history.png",
        "slice.png",
        "contour.png",
        "trials.json",
    }
    assert wanted <= files
    table = toy.table(results)
    assert list(table["trial"]) == list(range(8))
    best = table.loc[table[table["state"] == "complete"]["score"].idxmax()]
    assert f"Best: trial {best['trial']} (" in out
    assert "the best of several trials is partly the luckiest" in out
    assert "No importances of axes: they take 10 complete trials" in out


def test_a_pruned_trial_is_ended_early_and_its_run_says_so(undisturbed):
    results, _ = undisturbed
    table = toy.table(results)
    pruned = table[table["state"] == "pruned"]
    assert len(pruned) == 2
    for trial in pruned["trial"]:
        status = read_status(results / toy.FOLDER / "runs" / f"trial-{trial:03d}-seed0")
        assert status.state == "failed"
        assert status.reason == "pruned after step 2: behind other trials in validation"
    assert set(pruned["steps"]) == {2}
    median = table[table["state"] == "complete"]["score"].median()
    assert (pruned["score"] < median).all()


def test_a_finished_sweep_tries_nothing_again(undisturbed):
    results, (_, out, _) = undisturbed
    code, again, err = toy.run(results, *TRIALS)
    assert (code, again) == (0, out)
    assert "started" not in err


def test_tables_are_made_again_from_the_folder_alone(undisturbed, tmp_path):
    results, (_, out, _) = undisturbed
    copy = tmp_path / toy.FOLDER
    shutil.copytree(results / toy.FOLDER, copy)
    (copy / "journal.sweep.log").unlink()
    (copy / "table.md").unlink()
    assert toy.run(tmp_path, "--from-records", str(copy))[:2] == (0, out)
    shutil.rmtree(copy / "runs" / "trial-000-seed0")
    samples = next((copy / "runs" / "trial-001-seed0" / "validation").glob("*/samples.jsonl"))
    samples.write_text(samples.read_text().replace("wrong", "correct"))
    _, damaged, _ = toy.run(tmp_path, "--from-records", str(copy))
    table = toy.table(tmp_path)
    assert table["score"].isna().tolist() == [True, True] + [False] * 6
    assert damaged.count("records missing or changed") == 2
    assert "trial 0: its runs are missing" in damaged


@pytest.mark.slow
def test_the_best_trials_command_makes_its_runs_again(undisturbed, tmp_path, monkeypatch):
    results, (_, out, _) = undisturbed
    words = json.loads((results / toy.FOLDER / "trials.json").read_text())["reproduce"]
    assert words in out
    monkeypatch.chdir(PROJECT)
    command = [*shlex.split(words)[3:], "--results", str(tmp_path)]
    execute = "tests.studies.sweeping.toy_executor:execute"
    assert run_study(command, execute, lambda runs: None) == 0
    best = toy.table(results)
    best = best.loc[best[best["state"] == "complete"]["score"].idxmax()]
    config = json.loads((tmp_path / "toy" / "runs" / "grpo-seed0" / "config.json").read_text())["run"]
    assert config["algorithm"]["arguments"]["clip_low"] == best["grpo.clip_low"]
    rate = config["train"]["optimizer"]["learning_rate"]
    assert rate == best["train.optimizer.learning_rate"]


def test_a_changed_sweep_is_refused_and_a_longer_one_goes_on(undisturbed, tmp_path):
    results, _ = undisturbed
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    other = ("--axis", "grpo.clip_low=float(0.1, 0.4)")
    code, _, err = toy.run(tmp_path, *TRIALS, axes=other)
    assert code == 2
    assert "axis grpo.clip_low=float(0.1, 0.5): there, not now" in err
    assert "axis grpo.clip_low=float(0.1, 0.4): now, not there" in err
    code, _, err = toy.run(tmp_path, *TRIALS, "--set", "train.questions_per_step=5")
    assert code == 2
    assert "run.train.questions_per_step: 4 there, 5 now" in err
    assert toy.run(tmp_path, "--trials", "9")[0] == 0
    assert toy.table(tmp_path)[:8].equals(toy.table(results))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_sweep_ends_in_the_table_of_an_undisturbed_one(undisturbed, tmp_path, number):
    results, (_, out, _) = undisturbed
    process = toy.start(tmp_path, *TRIALS, TOY_SECONDS=0.2)
    run = tmp_path / toy.FOLDER / "runs" / "trial-001-seed0"
    study.wait_for(lambda: (run / "checkpoint").exists(), seconds=40)
    worker, _ = toy.attempts(tmp_path, 1)[-1]
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    study.wait_for(lambda: not study.lives(worker), seconds=5)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on from here" in err
    assert toy.run(tmp_path, *TRIALS)[:2] == (0, out)
    (_, start), (_, resumed_at) = toy.attempts(tmp_path, 1)
    assert (start, resumed_at >= 2) == (0, True)
    assert toy.table(tmp_path).equals(toy.table(results))


@pytest.mark.slow
def test_a_run_that_dies_is_tried_again_and_one_that_raises_is_a_visible_row(tmp_path):
    environment = {"TOY_KILL": "trial-000:0:1", "TOY_RAISE": "trial-001:0"}
    code, out, err = toy.run(tmp_path, "--trials", "2", "--pruner", "none", **environment)
    assert code == 1
    assert "again     trial-000: killed by signal 9" in err
    assert toy.table(tmp_path)["state"].tolist() == ["complete", "failed"]
    assert "failed: ValueError: toy reason" in out
    assert [start for _, start in toy.attempts(tmp_path, 0)] == [0, 2]


@pytest.mark.slow
def test_several_seeds_and_workers_and_the_best_trial_on_fresh_seeds(tmp_path):
    more = ("--seeds", "2", "--sampler", "random", "--rerun-best", "2", "--workers", "2")
    code, out, err = toy.run(tmp_path, "--trials", "3", *more, "--set", "validation.limit=10")
    assert code == 0, err
    best = toy.table(tmp_path)["score"].idxmax()
    fresh = tmp_path / f"{toy.FOLDER}_trial-{best:03d}" / "runs"
    assert len(list(fresh.iterdir())) == 2
    assert {path.name[-5:] for path in fresh.iterdir()} == {"seed2", "seed3"}
    assert f"Trial {best} on fresh seeds" in out
    assert "| all |" in out
    assert "| not asked in validation |" in out
    assert out.split("| not asked in validation |")[1].split("|")[1].strip() == "14"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trials", "0"], "--trials=0 must be at least 1"),
        (["--workers", "0"], "--workers=0 must be at least 1"),
        (["--sampler", "grid"], "a grid needs step="),
        (["--arm", "spt"], "'spt' is none of those"),
        (["--scale", "tiyn"], "did you mean tiny"),
        (["--storage", "sqlite:///trials.db"], "neither postgresql nor mysql"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_before_any_trial(tmp_path, words, told):
    code, _, err = toy.run(tmp_path, *words)
    assert code == 2
    assert told in err
    assert not list(tmp_path.glob("*/runs"))


def test_a_dry_run_tells_what_would_be_tried(tmp_path):
    code, out, _ = toy.run(tmp_path, *TRIALS, "--dry-run")
    assert code == 0
    assert "8 trials (none yet) by tpe" in out
    assert "6 steps, validated every 2 on the first 50 questions of tiny_add2" in out
    assert not list(tmp_path.iterdir())


def test_the_folder_of_a_study_is_not_overwritten(tmp_path):
    (tmp_path / toy.FOLDER).mkdir()
    (tmp_path / toy.FOLDER / "study.json").write_text("{}")
    code, _, err = toy.run(tmp_path, *TRIALS)
    assert code == 2
    assert "holds runs of a study; give --name" in err


def test_help_waits_for_nothing_heavy():
    code = (
        "import sys; from studies.sweep import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'optuna', 'pandas', 'altair', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "--rerun-best" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
