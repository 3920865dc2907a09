import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import AnyOf, Demonstrations, Rollouts, ThresholdGate, solve_rate
from tests.core.batches import batch

MIXED = batch([1.0, 0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1, 0], [False, False, False, True, True])


def test_solve_rate_counts_rollouts_with_a_reward_of_exactly_one():
    step = batch([1.0, 0.5, 1.0, 0.0, 1.0], [0, 0, 0, 0, 0], [False, False, False, False, True])
    assert solve_rate(step).tolist() == [0.5] * 5


def test_solve_rate_of_a_question_without_rollouts_is_nan():
    assert solve_rate(batch([1.0], demonstrations=[True])).isnan().all()


@given(st.integers(1, 64).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.booleans())
def test_solve_rate_is_the_very_quotient_that_a_threshold_denotes(counts, single):
    solved, total = counts
    rewards = [1.0] * solved + [0.0] * (total - solved)
    step = batch(rewards, dtype=torch.float32 if single else torch.float64)
    assert solve_rate(step).tolist() == [solved / total] * total


@given(st.floats(0, 1), st.floats(-1, 2))
def test_a_gate_reinforces_or_imitates_and_never_both(rate, threshold):
    weights = ThresholdGate(threshold, reinforce=0.5, imitate=0.3)(torch.tensor([rate], dtype=torch.float64))
    expected = (0.5, 0.0) if rate > threshold else (0.0, 0.3)
    assert (weights.reinforce.item(), weights.imitate.item()) == expected


@pytest.mark.parametrize("rate", [0.125, 0.1, 0.3, 1.0])
def test_a_gate_imitates_at_its_threshold_and_not_just_above(rate):
    rates = torch.tensor([rate, math.nextafter(rate, 2.0)], dtype=torch.float64)
    assert ThresholdGate(rate)(rates).imitate.tolist() == [1.0, 0.0]


def test_a_gate_refuses_a_question_without_rollouts():
    with pytest.raises(ValueError, match="question without rollouts"):
        ThresholdGate()(torch.tensor([0.5, math.nan]))


def test_rows_are_chosen_by_source_and_weighted_by_the_gate():
    gate = ThresholdGate(0.0, reinforce=0.5, imitate=0.25)
    assert Rollouts()(MIXED).tolist() == [1, 1, 1, 0, 0]
    assert Demonstrations()(MIXED).tolist() == [0, 0, 0, 1, 1]
    assert Rollouts(gate)(MIXED).tolist() == [0.5, 0.5, 0, 0, 0]
    assert Demonstrations(gate)(MIXED).tolist() == [0, 0, 0, 0.25, 0]
    assert AnyOf((Rollouts(gate), Demonstrations(gate)))(MIXED).tolist() == [1, 1, 0, 1, 0]


def test_a_gate_on_demonstrations_needs_rollouts_to_measure():
    assert Demonstrations().needs == {"demonstrations"}
    assert Demonstrations(ThresholdGate()).needs == {"demonstrations", "rollouts"}
    assert AnyOf((Rollouts(), Demonstrations())).needs == {"demonstrations", "rollouts"}
