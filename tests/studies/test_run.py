import signal
import subprocess
import sys
import time

import pytest

from studies.directories import read_status
from studies.run import main
from tests.studies import toy


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results of the toy study, and what its command printed."""
    results = tmp_path_factory.mktemp("undisturbed")
    process = toy.start(results)
    out, err = process.communicate(timeout=60)
    return results, (process.returncode, out, err)


def table(results):
    return (results / "toy" / "table.md").read_bytes()


def states(results):
    directories = (results / "toy" / "runs").iterdir()
    return {directory.name: read_status(directory).state for directory in directories}


def workers_of(results):
    paths = (results / "toy" / "runs").glob("*/attempts")
    return {int(line.split()[0]) for path in paths for line in path.read_text().splitlines()}


def kill_when_under_way(results, process, number):
    """Send a signal while a run is past its first checkpoint; return the worker's process id."""
    toy.wait_for(lambda: (results / "toy/runs/sft-seed0/checkpoint").exists())
    worker = toy.attempts(results, "sft", 0)[-1][0]
    process.send_signal(number)
    return worker


def test_a_study_prints_its_table_alone_on_stdout_and_progress_on_stderr(undisturbed):
    results, (code, out, err) = undisturbed
    assert code == 0
    assert out.rstrip("\n") == (results / "toy" / "table.md").read_text().rstrip("\n")
    assert "6/6 finished" in err
    assert "6/6 finished" not in out
    assert set(states(results).values()) == {"finished"}
    assert len(states(results)) == 6


def test_workers_and_order_change_no_byte_of_the_table(undisturbed, tmp_path):
    assert toy.run(tmp_path, "--workers", "2")[0] == 0
    assert table(tmp_path) == table(undisturbed[0])
    assert len(workers_of(tmp_path)) == 2
    assert len(workers_of(undisturbed[0])) == 1


def test_a_finished_study_runs_nothing_again(undisturbed):
    results, (_, out, _) = undisturbed
    before = {path: path.stat().st_mtime_ns for path in (results / "toy" / "runs").rglob("*")}
    code, again, err = toy.run(results)
    assert (code, again) == (0, out)
    assert "started" not in err
    assert {path: path.stat().st_mtime_ns for path in (results / "toy" / "runs").rglob("*")} == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_study_goes_on_where_it_stopped(undisturbed, tmp_path, number):
    process = toy.start(tmp_path, TOY_SECONDS=0.1)
    worker = kill_when_under_way(tmp_path, process, number)
    began = time.monotonic()
    _, err = process.communicate(timeout=20)
    toy.wait_for(lambda: not toy.lives(worker), seconds=5)
    assert time.monotonic() - began < 5
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on" in err
    finished = toy.attempts(tmp_path, "base", 0)

    assert toy.run(tmp_path)[0] == 0
    assert table(tmp_path) == table(undisturbed[0])
    assert toy.attempts(tmp_path, "base", 0) == finished, "a finished run was repeated"
    (_, first), (_, resumed) = toy.attempts(tmp_path, "sft", 0)
    assert first == 0
    assert resumed >= 2, "it began again instead of going on"


def test_a_second_command_on_the_same_folder_is_refused_by_name_of_the_first(tmp_path):
    process = toy.start(tmp_path, TOY_SECONDS=0.2)
    toy.wait_for(lambda: toy.attempts(tmp_path, "sft", 0))
    code, out, err = toy.run(tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert (code, out) == (2, "")
    assert str(process.pid) in err


def test_a_failed_run_is_named_and_its_cell_says_so_and_it_is_tried_again(undisturbed, tmp_path):
    code, out, err = toy.run(tmp_path, TOY_RAISE="sft:1")
    assert code == 1
    assert "failed: sft, seed 1: ValueError: toy reason" in err
    assert "| about to raise" in err, "the last lines it printed"
    assert "toy reason" in out
    assert states(tmp_path)["grpo-seed1"] == "finished"
    assert toy.run(tmp_path)[0] == 0
    assert table(tmp_path) == table(undisturbed[0])


def test_more_seeds_complete_a_study_and_fewer_hide_nothing(tmp_path):
    assert toy.run(tmp_path, "--seeds", "1")[0] == 0
    first = toy.attempts(tmp_path, "sft", 0)
    code, _, err = toy.run(tmp_path, "--seeds", "3")
    assert code == 0
    assert "9 runs: 3 finished" in err
    assert toy.attempts(tmp_path, "sft", 0) == first
    assert "--seeds 3" in toy.run(tmp_path, "--seeds", "1")[1]


def test_another_configuration_is_refused_with_both_values(undisturbed, tmp_path):
    results = undisturbed[0]
    before = table(results)
    code, out, err = toy.run(results, "--set", "train.steps=9")
    assert (code, out) == (2, "")
    assert "train.steps: 6 there, 9 now" in err
    assert "--results" in err
    assert table(results) == before


def test_a_dry_run_shows_what_is_missing_and_leaves_nothing_behind(tmp_path):
    code, out, _ = toy.run(tmp_path, "--dry-run")
    assert code == 0
    assert "6 runs: 6 missing" in out
    assert "grpo: 6 steps of 4 questions x 8 rollouts" in out
    assert list(tmp_path.iterdir()) == []


def test_mistakes_end_with_2_before_anything_starts(tmp_path, capsys):
    for arguments, message in (
        (["ablation_gat"], "ablation_gate"),
        (["ablation_gate", "--scale", "tinny"], "tiny"),
        (["ablation_gate", "--set", "train.step=1"], "train.steps"),
        (["ablation_gate", "--set", "train.steps=0"], "train.steps=0 must be at least 1"),
        (["ablation_gate", "--workers", "0"], "--workers=0 must be at least 1"),
        (["ablation_gate", "--no-such-flag"], "no-such-flag"),
    ):
        try:
            code = main([*arguments, "--results", str(tmp_path)])
        except SystemExit as end:  # tyro's own refusals
            code = end.code
        out, err = capsys.readouterr()
        assert (code, out) == (2, ""), arguments
        assert message in err
    assert list(tmp_path.iterdir()) == []


def test_help_loads_no_heavy_package():
    code = (
        "import sys\nfrom studies.run import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'optuna', 'pandas', 'transformers', 'lm_eval', 'altair'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=toy.environment(), stdout=subprocess.DEVNULL)


def test_an_algorithm_of_ones_own_runs_from_a_file_outside_the_project(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from algorithms import ALGORITHMS\n"
        "from studies.study import Arm, Study\n\n"
        "def my_own(*, clip: float = 0.3):\n"
        "    return ALGORITHMS['grpo'](clip_high=clip)\n\n"
        "STUDY = Study('mine', 'Mine', (Arm('mine', my_own),), seeds=(0,))\n"
    )
    command = [sys.executable, str(toy.HERE / "toy_run.py"), str(file), "--scale", str(toy.HERE / "toy.py")]
    command += ["--results", str(tmp_path), "--set", "my_own.clip=0.4"]
    ended = subprocess.run(command, capture_output=True, text=True, env=toy.environment(), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    config = (tmp_path / "mine/runs/mine-seed0/config.json").read_text()
    assert f"{file}:my_own" in config
    assert '"clip": 0.4' in config
    file.write_text(file.read_text().replace("clip_high=clip", "clip_low=clip"))
    ended = subprocess.run(command, capture_output=True, text=True, env=toy.environment(), cwd=tmp_path)
    assert ended.returncode == 2, "the algorithm is another one now"
    assert str(file) in ended.stderr
