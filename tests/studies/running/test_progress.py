import io
import json

import pytest
from rich.console import Console

from studies.running import progress
from studies.running.journal import Cell
from studies.running.live import LiveProgress, make_progress
from studies.running.progress import PlainProgress, Tally, View, Watcher, duration, last_metrics
from training.run_dir import RunDirectory

CELL = Cell("grpo", 1)


@pytest.fixture
def clock(monkeypatch):
    """Let time pass by hand."""
    now = [100.0]
    monkeypatch.setattr("studies.running.progress.time.monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


@pytest.fixture
def run(tmp_path):
    records = RunDirectory(tmp_path)
    records.write_status("running", "train", 10, 50)
    records.append_metrics({"step": 9, "rollout/solve_rate": 0.1})
    records.append_metrics({"step": 10, "rollout/solve_rate": 0.25})
    return records


def test_a_run_shows_its_step_its_last_solve_rate_and_the_time_left_at_its_pace(run, clock):
    watcher = Watcher(run.path)
    assert watcher.look() == View("train", 10, 50, 0.25, None)
    clock(20)
    run.write_status("running", "train", 20, 50)
    assert watcher.look().left == 60  # 10 steps took 20 s, 30 are left
    assert str(watcher.look()) == "train 20/50, solve rate 0.25, 1:00 left"


def test_the_pace_of_training_says_nothing_of_evaluation(run, clock):
    watcher = Watcher(run.path)
    watcher.look()
    clock(20)
    run.write_status("running", "evaluate", 50, 50)
    assert watcher.look() == View("evaluate", 50, 50, None, None)


def test_a_run_without_files_or_with_a_line_half_written_is_no_error(run, tmp_path):
    assert Watcher(tmp_path / "none").look().phase == "starting"
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 11, "roll')
    assert last_metrics(run.path)["step"] == 10


def test_a_study_has_left_what_its_pace_says(clock):
    tally = Tally()
    tally.begin(finished=2, total=6)
    assert tally.left({}) is None
    clock(30)
    tally.done += 1
    assert tally.left({}) == 90  # one in 30 s, three to go
    assert tally.left({CELL: View("train", 5, 10, None, None)}) == 50  # 1.5 in 30 s, 2.5 to go


def test_without_a_terminal_each_event_is_a_line_and_the_state_comes_every_ten_seconds(run, clock):
    stream = io.StringIO()
    shown = make_progress(stream)
    assert isinstance(shown, PlainProgress)
    shown.begin(0, 3, 2)
    shown.started(CELL, run.path)
    shown.tick()
    assert len(stream.getvalue().splitlines()) == 2
    clock(progress.STATUS_LINE_SECONDS)
    shown.tick()
    shown.tick()
    shown.finished(CELL, 0.5)
    shown.failed(Cell("sft", 0), "ValueError: no", run.path / "log", "last line")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "3 runs: 0 finished, 3 to do with 2 worker(s)"
    assert lines[1] == "started   grpo, seed 1"
    assert lines[2].startswith("0/3 finished, 0:10 elapsed")
    assert lines[2].endswith("grpo, seed 1 train 10/50, solve rate 0.25")
    assert lines[3] == "finished  grpo, seed 1: 50.0 % correct (1/3 finished)"
    assert lines[4] == "failed    sft, seed 0: ValueError: no (1/3 finished, 1 failed)"
    assert lines[5] == "    | last line"


def test_on_a_terminal_each_running_run_has_a_line_below_the_study(run, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    shown = LiveProgress(Console(file=stream, force_terminal=True, width=100, color_system=None))
    shown.begin(1, 3, 1)
    shown.started(CELL, run.path)
    shown.failed(Cell("[odd]", 0), "ValueError: [/no] markup", run.path / "log", "")
    shown.end()
    text = stream.getvalue()
    assert "1/3 finished" in text
    assert "grpo, seed 1" in text
    assert "10/50" in text
    assert "solve rate 0.25" in text
    assert "[odd], seed 0: ValueError: [/no] markup" in text


def test_durations_are_for_reading():
    assert [duration(seconds) for seconds in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]


def test_metrics_are_read_from_the_end_of_a_long_file(tmp_path):
    with (tmp_path / "metrics.jsonl").open("w") as file:
        for step in range(5000):
            file.write(json.dumps({"step": step, "rollout/solve_rates": [[1, 0.5]] * 8}) + "\n")
    assert last_metrics(tmp_path)["step"] == 4999


@pytest.mark.parametrize(("term", "kind"), [("dumb", PlainProgress), ("xterm", LiveProgress)])
def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(term, kind, monkeypatch):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes any stream for a terminal then
    assert isinstance(make_progress(io.StringIO()), kind)
