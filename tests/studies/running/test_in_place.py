"""Runs under a launcher of the user's own: which are tried, and which no longer."""

import json

import pytest

from studies.configuring.resolve import resolve
from studies.directories import read_status, run_directory
from studies.running.in_place import carry_out_all, outcome_of
from studies.running.journal import Cell
from tests.studies import toy


@pytest.fixture
def resolved():
    return resolve(toy.STUDY, [toy.SCALE], (0,))


@pytest.fixture
def carry_out(resolved, tmp_path, monkeypatch):
    """Return what carries the toy study out as one rank, by an executor that is given."""

    def start(execute):
        monkeypatch.setattr("studies.running.in_place.load", lambda name: execute)
        carry_out_all(resolved, tmp_path, "execute")

    return start


class Killed(BaseException):
    """Ends a run as a signal does: nothing is written."""


def killed(run, directory):
    raise Killed


def test_a_run_that_ends_its_processes_twice_is_failed_and_the_others_are_tried(
    carry_out, resolved, tmp_path
):
    for _ in range(2):
        with pytest.raises(Killed):
            carry_out(killed)
    seen = []
    carry_out(lambda run, directory: seen.append(run.arm))
    first, *others = [run.arm for run in resolved.runs]
    assert seen == others
    reason = read_status(run_directory(tmp_path, first, 0)).reason
    assert reason == "its processes ended 2 times after step 0, without a reason"
    assert outcome_of(resolved, tmp_path).failed == {Cell(first, 0): reason}
    carry_out(lambda run, directory: seen.append(run.arm))
    assert seen[-1] == first, "asked for again, it is tried again, after the others"


def test_a_run_that_gets_on_between_its_ends_is_tried_for_ever(carry_out, resolved, tmp_path):
    first = run_directory(tmp_path, resolved.runs[0].arm, 0)
    for step in range(1, 5):
        with pytest.raises(Killed):
            carry_out(killed)
        (first / "checkpoints" / f"step-{step:06d}").mkdir(parents=True)
    assert read_status(first) is None
    assert json.loads((first / "tries.json").read_text()) == {"step": 3, "tries": 1}
