import os

import optuna
import pytest

from evaluation.records import answers
from studies.configuring.resolve import resolve
from studies.directories import folder_lock, read_status
from studies.running.driver import Driver
from studies.running.journal import Cell, Journal
from tests.studies import toy


class Recorder:
    """Progress that keeps what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, event):
        return lambda *details: self.told.append((event, *details))

    def events(self, *names):
        return [told[:2] for told in self.told if told[0] in names]


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """Run the toy study in a folder, without its command line."""
    monkeypatch.setenv("PYTHONPATH", str(toy.HERE))
    folder = tmp_path / "toy"
    folder.mkdir()

    def start(seeds=(0,), workers=1, execute="tests.studies.toy_executor:execute", **environment):
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        recorder = Recorder()
        driver = Driver(resolve(toy.STUDY, [toy.SCALE], seeds), folder, workers, execute, recorder)
        return driver.drive(), recorder

    return start


def trials(folder):
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    )
    return optuna.load_study(study_name="toy", storage=storage).trials


def test_a_run_whose_worker_is_killed_is_tried_once_more_from_its_checkpoint(drive, tmp_path):
    outcome, recorder = drive(TOY_KILL="sft:0:1")
    assert outcome == ({}, None)
    assert recorder.events("again") == [("again", Cell("sft", 0))]
    (killed, _), (_, resumed) = toy.attempts(tmp_path, "sft", 0)
    assert resumed == 2
    assert not toy.lives(killed)
    [failed] = [trial for trial in trials(tmp_path / "toy") if trial.state.name == "FAIL"]
    assert failed.user_attrs["reason"].startswith("killed by signal 9")


@pytest.mark.parametrize(
    ("workers", "order"),
    [(1, ["base", "sft", "grpo"]), (2, ["grpo", "sft", "base"])],
    ids=["as listed", "longest first"],
)
def test_several_workers_begin_each_seed_with_the_longest_runs(drive, monkeypatch, workers, order):
    work = {"base": 1.0, "sft": 2.0, "grpo": 3.0}
    monkeypatch.setattr("studies.running.driver.expected_flops", lambda run: work[run.arm])
    _, recorder = drive(seeds=(0, 1), workers=workers)
    started = [cell for _, cell in recorder.events("started")]
    assert started == [Cell(arm, seed) for seed in (0, 1) for arm in order]


def test_a_run_that_kills_its_worker_twice_is_failed_with_the_cause_and_others_go_on(drive, tmp_path):
    outcome, recorder = drive(TOY_KILL="sft:0:9")
    assert list(outcome.failed) == [Cell("sft", 0)]
    assert len(toy.attempts(tmp_path, "sft", 0)) == 2
    status = read_status(tmp_path / "toy/runs/sft-seed0")
    assert status.state == "failed"
    assert "killed by signal 9" in status.reason
    assert ("finished", Cell("grpo", 0)) in recorder.events("finished")


def test_a_reason_of_an_earlier_failure_is_not_told_again(drive, tmp_path):
    drive(TOY_RAISE="sft:0")
    drive(execute="no_such_module:execute")
    assert "ModuleNotFoundError" in read_status(tmp_path / "toy/runs/sft-seed0").reason


def test_a_run_that_cannot_even_be_loaded_fails_once_with_the_reason(drive, tmp_path):
    outcome, recorder = drive(execute="no_such_module:execute")
    assert set(outcome.failed) == {Cell("base", 0), Cell("sft", 0), Cell("grpo", 0)}
    assert "ModuleNotFoundError" in read_status(tmp_path / "toy/runs/sft-seed0").reason
    assert recorder.events("again") == []


def test_a_failed_run_leaves_its_process_to_no_other_run(drive, tmp_path):
    drive(TOY_RAISE="sft:0")
    assert toy.attempts(tmp_path, "grpo", 0)[0][0] != toy.attempts(tmp_path, "sft", 0)[0][0]
    assert toy.attempts(tmp_path, "base", 0)[0][0] == toy.attempts(tmp_path, "sft", 0)[0][0]


def test_an_executor_that_returns_without_finishing_fails_its_run(drive):
    outcome, _ = drive(execute="os.path:join")
    assert all("RunConfig" in reason for reason in outcome.failed.values())
    outcome, _ = drive(execute="builtins:print")
    assert all("without a finished status.json" in reason for reason in outcome.failed.values())


def test_each_finished_run_has_exactly_one_completed_trial_with_its_score(drive, tmp_path):
    drive()
    (tmp_path / "toy" / "journal.log").unlink()  # as if killed between the run's end and its record
    drive()
    drive(seeds=(0, 1))
    drive(seeds=(0, 1))
    completed = [trial for trial in trials(tmp_path / "toy") if trial.state.name == "COMPLETE"]
    assert len(completed) == len(trials(tmp_path / "toy")) == 6
    assert {(trial.params["arm"], trial.params["seed"]) for trial in completed} == {
        (arm, seed) for arm in ("base", "sft", "grpo") for seed in (0, 1)
    }
    for trial in completed:
        found = answers(tmp_path / "toy/runs" / trial.user_attrs["run_directory"])
        marks = [sample.outcome == "correct" for sample in found]
        assert trial.value == pytest.approx(sum(marks) / len(marks))


def test_trials_left_running_are_failed_and_made_again(tmp_path):
    cells = [Cell("sft", 0), Cell("grpo", 0)]
    first = Journal(tmp_path / "journal.log", "toy", ["sft", "grpo"])
    first.plan({}, cells)
    assert first.take().cell == Cell("sft", 0)
    with (tmp_path / "journal.log").open("a") as file:
        file.write('{"op_code": 4, "torn')  # killed in the middle of a write
    os.symlink("journal.log", tmp_path / "journal.log.lock")
    second = Journal(tmp_path / "journal.log", "toy", ["sft", "grpo"])
    second.plan({}, cells)
    assert sorted(trial.state.name for trial in trials(tmp_path)) == ["FAIL", "WAITING", "WAITING"]
    assert {second.take().cell, second.take().cell} == set(cells)
    assert second.take() is None


def test_a_waiting_trial_that_is_not_wanted_any_more_is_not_run(tmp_path):
    journal = Journal(tmp_path / "journal.log", "toy", ["sft"])
    journal.plan({}, [Cell("sft", 0), Cell("sft", 1)])
    journal.plan({}, [Cell("sft", 1)])
    assert journal.take().cell == Cell("sft", 1)
    assert journal.take() is None


def test_a_study_of_one_run_can_be_told(tmp_path):
    journal = Journal(tmp_path / "journal.log", "toy", ["sft"])
    journal.plan({}, [Cell("sft", 0)])
    journal.completed(journal.take().number, tmp_path, 0.5)


def test_a_lock_is_free_again_after_its_holder(tmp_path):
    with folder_lock(tmp_path):
        pass
    with folder_lock(tmp_path):
        pass
