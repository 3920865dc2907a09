"""Where in a run a step stands: its stage, and how far the stage is."""

import pytest

from algorithms import grpo, sft, sft_then_grpo
from core import Curriculum, Stage
from training.stages import moment, stage_starts


@pytest.mark.parametrize(("steps", "starts"), [(10, [0, 3]), (1, [0, 0]), (3, [0, 1])])
def test_stages_begin_at_their_share_of_the_steps(steps, starts):
    assert stage_starts(sft_then_grpo(sft_share=0.3), steps) == starts


def test_an_algorithm_is_one_stage_that_begins_nothing():
    moments = [moment(grpo(), step, 4) for step in range(4)]
    assert [now.progress for now in moments] == [0.0, 0.25, 0.5, 0.75]
    assert [now.step for now in moments] == [0, 1, 2, 3]
    assert {now.algorithm for now in moments} == {grpo()}
    assert not any(now.begins_stage for now in moments)


def test_progress_is_that_of_the_stage():
    curriculum = Curriculum("three", (Stage(sft(), 0.2), Stage(grpo(), 0.5), Stage(sft(), 0.3)))
    moments = [moment(curriculum, step, 10) for step in range(10)]
    assert [now.progress for now in moments[:2]] == [0.0, 0.5]
    assert [now.progress for now in moments[2:7]] == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert [now.progress for now in moments[7:]] == [0.0, 1 / 3, 2 / 3]
    assert [now.begins_stage for now in moments] == [step in (2, 7) for step in range(10)]
    assert [now.algorithm.name for now in moments] == ["sft"] * 2 + ["grpo"] * 5 + ["sft"] * 3


@pytest.mark.parametrize("steps", range(1, 30))
def test_progress_is_below_one_however_steps_are_rounded(steps):
    curriculum = Curriculum("many", (*(Stage(sft(), 0.07) for _ in range(10)), Stage(grpo(), 0.3)))
    moments = [moment(curriculum, step, steps) for step in range(steps)]
    assert all(0.0 <= now.progress < 1.0 for now in moments)
    assert [now.step for now in moments] == list(range(steps))
