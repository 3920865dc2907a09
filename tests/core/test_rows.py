import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import (
    AnyOf,
    Demonstrations,
    EntropyWeighted,
    Failed,
    Mixed,
    NonEmpty,
    Rollouts,
    Solved,
    ThresholdGate,
    solve_rate,
)
from core.needs import needs_of
from core.pairs import takes_demonstrations
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


def test_rows_are_chosen_by_source_and_weighted_by_the_gate():
    gate = ThresholdGate(0.0, reinforce=0.5, imitate=0.25)
    assert Rollouts()(MIXED).tolist() == [1, 1, 1, 0, 0]
    assert Demonstrations()(MIXED).tolist() == [0, 0, 0, 1, 1]
    assert Rollouts(gate)(MIXED).tolist() == [0.5, 0.5, 0, 0, 0]
    assert Demonstrations(gate)(MIXED).tolist() == [0, 0, 0, 0.25, 0]
    assert AnyOf((Rollouts(gate), Demonstrations(gate)))(MIXED).tolist() == [1, 1, 0, 1, 0]


def test_a_gate_on_demonstrations_needs_rollouts_to_measure():
    assert needs_of(Demonstrations()) == {"demonstrations"}
    assert needs_of(Demonstrations(ThresholdGate())) == {"demonstrations", "rollouts"}
    assert needs_of(AnyOf((Rollouts(), Demonstrations()))) == {"demonstrations", "rollouts"}


EVERY = AnyOf((Rollouts(), Demonstrations()))
HALVES = ThresholdGate(-1.0, reinforce=0.5)


def test_rows_are_chosen_by_outcome():
    step = batch([1.0, 0.999, 0.0, 1.0], demonstrations=[False, False, False, True])
    assert Solved(EVERY)(step).tolist() == [1, 0, 0, 1]
    assert Failed(EVERY)(step).tolist() == [0, 1, 1, 0]
    assert Solved(Rollouts(HALVES))(step).tolist() == [0.5, 0, 0, 0]
    assert Failed(Rollouts(HALVES))(step).tolist() == [0, 0.5, 0.5, 0]


def test_rows_without_tokens_are_left_out():
    step = batch([1.0] * 4, lengths=[0, 1, 0, 3], demonstrations=[False, False, True, True])
    assert NonEmpty(Rollouts(HALVES))(step).tolist() == [0, 0.5, 0, 0]
    assert NonEmpty(EVERY)(step).tolist() == [0, 1, 0, 1]


def test_only_questions_whose_rollouts_differ_are_mixed():
    # Question 0 is mixed, question 1 all solved, question 2 a single rollout; question 3's demonstration
    # alone differs, and it is no rollout.
    step = batch(
        [1.0, 0.0, 1.0, 0.1, 0.1, 0.1, 0.5, 0.0, 1.0],
        [0, 0, 0, 1, 1, 1, 2, 3, 3],
        [False, False, True, False, False, False, False, False, True],
    )
    assert Mixed(EVERY)(step).tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert Mixed(Rollouts(HALVES))(step).tolist() == [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0]
    assert needs_of(Mixed(Demonstrations())) == {"rollouts", "demonstrations"}


@pytest.mark.parametrize(("scale", "sign"), [(0.5, -1.0), (0.1, 1.0), (2.0, 0.0)])
def test_rows_are_weighted_by_their_mean_entropy(scale, sign):
    step = batch([1.0, 1.0, 0.0, 1.0], lengths=[1, 3, 2, 0])
    entropy = torch.tensor([[2.0, 9, 9], [1.0, 2.0, 0.0], [3.0, 1.0, 9], [9.0, 9, 9]]).double()
    step = dataclasses.replace(step, current_entropy=torch.where(step.response_mask, entropy, torch.nan))
    found = EntropyWeighted(Solved(Rollouts(HALVES)), scale, sign)(step)
    expected = [0.5 * scale * math.exp(sign * mean) for mean in (2.0, 1.0)]
    assert found.tolist() == pytest.approx([*expected, 0.0, 0.5 * scale], rel=1e-12)
    assert needs_of(EntropyWeighted(Rollouts()), phase="plan_needs") == {"current_entropy"}


def test_entropies_in_single_precision_keep_the_rewards_dtype():
    step = batch([1.0], lengths=[2])
    step = dataclasses.replace(step, current_entropy=torch.ones(1, 2))
    assert EntropyWeighted(Rollouts())(step).dtype == torch.float64


@pytest.mark.parametrize("wrap", [Solved, Failed, NonEmpty, Mixed, EntropyWeighted])
def test_a_choice_among_rows_takes_demonstrations_where_those_rows_do(wrap):
    assert not takes_demonstrations(wrap(Rollouts()))
    assert takes_demonstrations(wrap(Demonstrations()))
    assert takes_demonstrations(wrap(AnyOf((Rollouts(), wrap(Demonstrations())))))
    assert not takes_demonstrations(wrap(AnyOf((Rollouts(), wrap(Rollouts())))))
    # Nobody knows, also where another choice beside it says no.
    assert takes_demonstrations(wrap(lambda step: step.reward))
    assert takes_demonstrations(wrap(AnyOf((Rollouts(), lambda step: step.reward))))


def test_an_entropy_weight_must_be_positive():
    with pytest.raises(ValueError, match=r"EntropyWeighted\.scale=-1\.0"):
        EntropyWeighted(Rollouts(), -1.0)
    with pytest.raises(ValueError, match=r"EntropyWeighted\.sign=2\.0"):
        EntropyWeighted(Rollouts(), 1.0, 2.0)
