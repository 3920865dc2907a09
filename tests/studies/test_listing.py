"""What `--list` and `--help` say."""

import dataclasses
import re

import pytest

from algorithms import ALGORITHMS
from core import ClipMask, KlPenalty, Term
from studies.configuring.kinds import PARTS
from studies.listing import WIDTH, listing, written


@pytest.fixture(scope="module")
def listed():
    return listing()


def test_a_part_is_written_with_all_its_fields():
    assert written(ClipMask) == "ClipMask(low=0.2, high=0.2)"
    assert written(Term).startswith("Term(name, estimator, rows, aggregation, weight=1.0, ")
    said = written(KlPenalty)
    assert said.startswith("KlPenalty(weight, rows, aggregation, estimator='k3', ")
    assert "mask=KeepAll()" in said
    assert "name=" not in said


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_listed_with_all_its_fields(name, listed):
    flat = re.sub(r"\s+", " ", listed)
    assert f" {written(PARTS[name])}" in flat
    for field in dataclasses.fields(PARTS[name]):
        assert field.name == "name" or field.name in written(PARTS[name])


def test_lines_are_short_and_names_stand_in_a_column_of_their_own(listed):
    lines = listed.splitlines()
    assert max(map(len, lines)) <= WIDTH
    rows = {line.split()[0]: line for line in lines if line.startswith("  ") and line[2] != " "}
    starts = {name: len(rows[name]) - len(rows[name][2 + len(name) :].lstrip()) for name in ALGORITHMS}
    assert len(set(starts.values())) == 1, starts


def test_sweeps_are_listed_with_their_trials_and_axes(listed):
    assert "  sweep_gate_mix  HPT with a hard or soft gate and mixing weights: 60 trials" in listed


def test_what_every_algorithm_has_is_said_once(listed):
    assert listed.count("aside") == 1
    assert "rollouts and aside" in listed
    flat = re.sub(r"\s+", " ", listed)
    assert "clip_high=0.28, rounds=10; reinforce " in flat
    assert "normalize_std=True; sft, grpo " in flat


@pytest.mark.parametrize(
    "module", ["explain", "conformance", "run", "audit", "plan", "export", "why", "mirror", "sweep"]
)
def test_help_tells_defaults_that_are_values_alone(module, capsys):
    main = __import__(f"studies.{module}", fromlist=["main"]).main
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    for odd in ("(default: '')", "(default: )", "(default: None)", "{None}"):
        assert odd not in said, odd
    if module in ("explain", "run"):
        assert ".reinforce.mask=ClipMask(" in said
        assert ".kl=KlPenalty(" in said
