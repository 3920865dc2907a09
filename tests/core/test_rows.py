import torch
from hypothesis import given
from hypothesis import strategies as st

from core import AnyOf, Demonstrations, Rollouts, ThresholdGate, solve_rate
from core.needs import needs_of
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
