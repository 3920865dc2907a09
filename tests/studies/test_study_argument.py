"""A study that is named behind `--set` or `--axis` is the study all the same."""

import importlib

import pytest

COMMANDS = ("studies.command", "studies.planning.command", "studies.sweeping.command")
AXIS = "train.steps=int(1,5)"


@pytest.mark.parametrize("module", COMMANDS)
@pytest.mark.parametrize(
    "words",
    [
        ["toy", "--set", "train.steps=3", "seed=1"],
        ["--set", "train.steps=3", "toy", "seed=1"],
        ["--set", "train.steps=3", "--set", "seed=1", "toy"],
    ],
    ids=["before", "among", "after"],
)
def test_the_study_may_stand_before_among_or_after_the_changes(module, words):
    command = importlib.import_module(module).read_command(words)
    assert command.study == "toy"
    assert command.changes == ("train.steps=3", "seed=1")


@pytest.mark.parametrize("module", COMMANDS)
def test_two_words_that_may_be_the_study_are_left_to_whoever_reads_the_changes(module):
    command = importlib.import_module(module).read_command(["--set", "train.steps=3", "toy", "other"])
    assert command.study == ""
    assert command.changes == ("train.steps=3", "toy", "other")


@pytest.mark.parametrize(
    "words", [["--axis", AXIS, "toy", "--set", "a=1"], ["--axis", AXIS, "--set", "a=1", "toy"]]
)
def test_a_sweep_is_found_in_either_list(words):
    command = importlib.import_module("studies.sweeping.command").read_command(words)
    assert (command.study, command.axes, command.changes) == ("toy", (AXIS,), ("a=1",))
