"""The run directory's files."""

import json
import os

import pytest

from training.run_dir import RunDirectory, write_atomically


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "study" / "run")
    directory.write_config({"seed": 3}, {"commit": "abc"})
    return directory


def test_the_config_holds_the_run_and_what_it_ran_with(directory):
    record = json.loads((directory.path / "config.json").read_text())
    assert record == {"run": {"seed": 3}, "provenance": {"commit": "abc"}}


def test_the_status_says_how_far_the_run_is_and_who_runs_it(directory):
    directory.write_status("running", "train", 3, 10)
    directory.write_status("failed", "evaluate", 10, 10, "out of memory")
    status = json.loads((directory.path / "status.json").read_text())
    assert status == {
        "state": "failed",
        "phase": "evaluate",
        "step": 10,
        "steps": 10,
        "reason": "out of memory",
        "pid": os.getpid(),
    }


def test_metrics_are_one_object_a_line(directory):
    for step in (1, 2):
        directory.append_metrics({"step": step, "loss": 0.5})
    lines = (directory.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.5}]


def test_metrics_that_are_no_json_are_refused_and_leave_no_trace(directory):
    directory.append_metrics({"step": 1})
    with pytest.raises(ValueError, match="JSON"):
        directory.append_metrics({"step": 2, "loss": float("nan")})
    assert (directory.path / "metrics.jsonl").read_text() == '{"step": 1}\n'


def test_metrics_past_a_step_are_dropped_torn_lines_included(directory):
    for step in (1, 2, 3):
        directory.append_metrics({"step": step})
    with (directory.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    directory.keep_steps(2)
    directory.append_metrics({"step": 3})
    lines = (directory.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]


def test_a_run_without_metrics_starts_with_an_empty_file(directory):
    directory.keep_steps(0)
    assert (directory.path / "metrics.jsonl").read_text() == ""


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "status.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"


def test_a_finished_write_leaves_one_file(tmp_path):
    write_atomically(tmp_path / "status.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_metrics_that_lack_steps_of_the_checkpoint_are_not_taken_for_whole(directory):
    directory.append_metrics({"step": 1})
    with pytest.raises(ValueError, match=r"metrics\.jsonl holds 1 steps, the newest checkpoint is of step 2"):
        directory.keep_steps(2)
