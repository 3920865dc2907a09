"""Faults planted in the real engine: each turns the audit red, by its name; the engine itself is green."""

import pytest
import torch

from studies.auditing.diagnosis import BOUNDS, FAULTS, diagnose
from studies.auditing.layout import CASES
from studies.auditing.planted import PLANTS
from studies.auditing.probe import observe
from studies.auditing.result import common
from training.config import EngineConfig
from training.engine import Engine

torch.set_num_threads(1)

OF_SEVERAL_RANKS = {"rank_factor", "rank_factor:divided", "dropped_micro_batches:rank"}
ONE_RANK = sorted(set(PLANTS) - OF_SEVERAL_RANKS)


def diagnoses(plant, cases, **settings):
    """Return what one rank's cells are diagnosed with, one by one."""
    config = EngineConfig(**{"gradient_clip": 1.0, **settings})
    bound = BOUNDS[config.precision]
    return [diagnose(observe(case, config, 1, plant), bound).faults for case in cases]


def check(name, **settings):
    found = diagnoses(PLANTS[name], CASES, **settings)
    fault = name.partition(":")[0]
    assert common(found) == (fault,), found
    # Where it can show it is named, by itself or beside another that does the same there.
    assert all(fault in each or not each for each in found)
    assert sum(fault in each for each in found) >= 3


@pytest.mark.parametrize("name", ONE_RANK)
def test_a_planted_fault_is_named(name):
    check(name, zero_stage=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(ONE_RANK) - {"leftover_gradient"}))
def test_a_planted_fault_is_named_in_bf16(name):
    check(name, zero_stage=2, precision="bf16")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
@pytest.mark.parametrize("name", sorted(set(ONE_RANK) - {"leftover_gradient"}))
def test_a_planted_fault_is_named_in_shards_too(name, stage):
    check(name, zero_stage=stage)


@pytest.mark.parametrize("name", sorted({"no_clip", "clip_scale"}))
def test_a_fault_of_the_clip_is_no_fault_without_one(name):
    assert diagnoses(PLANTS[name], ["2"], gradient_clip=None) == [()]


@pytest.mark.slow
def test_without_a_clip_the_other_faults_are_named_too():
    for name in sorted(set(ONE_RANK) - {"no_clip", "clip_scale"}):
        assert diagnoses(PLANTS[name], ["4"], gradient_clip=None) == [(name.partition(":")[0],)]


@pytest.mark.parametrize("settings", [{"zero_stage": 0}, {"zero_stage": 2, "precision": "bf16"}], ids=str)
def test_the_engine_itself_is_right(settings):
    assert diagnoses(Engine, CASES, **settings) == [()] * len(CASES)


class SayingSkipped(Engine):
    """Takes every step and says that it took none."""

    def step(self, learning_rate):
        return super().step(learning_rate)._replace(applied=False)


def test_a_step_that_is_said_to_be_skipped_is_not_passed():
    assert diagnoses(SayingSkipped, ["2"]) == [("unknown",)]


def test_a_norm_beyond_what_is_skipped_is_never_asked_for():
    assert diagnoses(Engine, ["2"], gradient_clip=1.0, skip_norm_above=2.0) == [()]


def test_every_known_fault_is_planted():
    assert {name.partition(":")[0] for name in PLANTS} == {fault.name for fault in FAULTS}
