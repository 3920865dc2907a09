import dataclasses
import statistics

import pytest
import torch

from core import (
    ActiveScaled,
    BatchScaled,
    Constant,
    Gae,
    GroupRelative,
    Precomputed,
    TotalReward,
    Whitened,
)
from tests.core.batches import batch
from tests.core.steps import for_any_seed, random_step

CENTERED = GroupRelative(normalize_std=False)


def per_row(part, step):
    return part(step)[:, 0].tolist()


def close(actual, expected):
    actual, expected = (torch.as_tensor(values, dtype=torch.float64) for values in (actual, expected))
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=0)


def test_whitening_over_tokens_worked_by_hand():
    # Tokens 4, 1, 1, 1, 1, 4: mean 2, squares 2 · 4 + 4 · 1 = 12 over n − 1 = 5.
    step = batch([4.0, 1.0, 4.0], lengths=[1, 4, 1])
    found = Whitened(TotalReward(), epsilon=0.6)(step)
    close(found[:, 0], [2 / 3**0.5, -1 / 3**0.5, 2 / 3**0.5])


def test_whitening_over_rows_counts_a_row_once():
    # Rows 4, 1, 4: mean 3, squares 1 + 4 + 1 = 6 over 2: variance 3. A row without tokens has no value.
    step = batch([4.0, 1.0, 4.0, 99.0], lengths=[1, 4, 1, 0])
    close(per_row(Whitened(TotalReward(), "rows", epsilon=1.0), step)[:3], [0.5, -1.0, 0.5])
    by_std = Whitened(TotalReward(), "rows", epsilon=3 - 3**0.5, epsilon_on="std")
    close(per_row(by_std, step)[:3], [1 / 3, -2 / 3, 1 / 3])


def test_demonstrations_are_whitened_by_the_rollouts_moments_unless_all_rows_count():
    step = batch([4.0, 1.0, 4.0, 7.0], demonstrations=[False, False, False, True], lengths=[1] * 4)
    close(per_row(Whitened(TotalReward(), "rows", epsilon=1.0), step), [0.5, -1.0, 0.5, 2.0])
    # All four: mean 4, squares 9 + 9 over 3: variance 6.
    found = per_row(Whitened(TotalReward(), "rows", epsilon=3.0, rows="all"), step)
    close(found, [0.0, -1.0, 0.0, 1.0])


@for_any_seed
def test_whitened_tokens_have_mean_zero_and_variance_one(seed):
    step = random_step(seed, rows=14)
    found = Whitened(Gae(0.9, 0.8), epsilon=0.0)(step)
    tokens = found[step.response_mask & ~step.is_demonstration[:, None]].tolist()
    if len(tokens) > 1:
        assert statistics.mean(tokens) == pytest.approx(0.0, abs=1e-12)
        assert statistics.variance(tokens) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("epsilon", [0.0, 1e-8])
def test_equal_values_and_a_lone_one_are_whitened_to_exactly_nothing(dtype, epsilon):
    for lengths in ([3, 5, 4, 2, 6, 1, 7], [1, 0, 0, 0, 0, 0, 0]):
        step = batch([0.7] * 7, lengths=lengths, dtype=dtype)
        assert not Whitened(TotalReward(), epsilon=epsilon)(step).any()
        assert not Whitened(TotalReward(), "rows", epsilon, epsilon_on="std")(step).any()


@pytest.mark.parametrize("advantage", [Gae(), Precomputed(), ActiveScaled(Gae())])
def test_rows_with_several_values_have_no_one_value_to_whiten(advantage):
    with pytest.raises(ValueError, match=r"differs within a row; use over='tokens'"):
        Whitened(advantage, "rows")


def test_batch_scaling_divides_by_the_spread_of_all_rollouts_rewards():
    # Rewards 1, 0, 0, 3 have mean 1 and squares 0 + 1 + 1 + 4 over 3: variance 2. The demonstration's 50 and
    # the empty response's 3 make the difference that each should.
    step = batch([1.0, 0.0, 0.0, 3.0, 50.0], [0, 0, 1, 1, 0], [False] * 4 + [True], [1, 1, 1, 0, 1])
    found = per_row(BatchScaled(CENTERED, epsilon=0.5), step)
    close(found, [value / (2**0.5 + 0.5) for value in (0.5, -0.5, -1.5, 0.0, 49.5)])


def test_a_lone_reward_is_not_divided_by_epsilon():
    close(per_row(BatchScaled(CENTERED), batch([0.5])), [0.5 / (1 + 1e-4)])
    assert not BatchScaled(CENTERED)(batch([0.1] * 7)).any()


def test_active_scaling_worked_by_hand():
    # Six rollouts; question 0 is mixed (2 rows), question 1 all solved (3), question 2 a single failure.
    step = batch([1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0], [0, 0, 1, 1, 1, 2, 0], [False] * 6 + [True])
    close(per_row(ActiveScaled(Constant()), step), [6 / 2] * 7)
    close(per_row(ActiveScaled(Constant(), "rewarded"), step), [6 / 4] * 7)


@pytest.mark.parametrize("active", ["mixed", "rewarded"])
def test_a_step_without_any_signal_stays_finite(active):
    assert not ActiveScaled(CENTERED, active)(batch([0.0, 0.0, 0.0])).any()
    taught = batch([1.0, 1.0], demonstrations=[True, True])
    assert ActiveScaled(CENTERED, active)(taught).isfinite().all()


@for_any_seed
def test_scaling_leaves_the_ratios_between_rows_alone(seed):
    step = random_step(seed)
    whole = CENTERED(step)
    for part in (BatchScaled(CENTERED), ActiveScaled(CENTERED), ActiveScaled(CENTERED, "rewarded")):
        found, kept = part(step), whole != 0
        factors = found[kept] / whole[kept]
        assert not found[~kept].any()
        if kept.any():
            torch.testing.assert_close(factors, factors[:1].expand_as(factors), rtol=1e-12, atol=0)
            assert factors[0] > 0


def test_whitening_reads_nothing_outside_the_response():
    step = batch([1.0, 0.0], lengths=[1, 2])
    garbled = dataclasses.replace(step, advantage=torch.tensor([[2.0, torch.inf], [1.0, 3.0]]).double())
    close(Whitened(Precomputed(), epsilon=0.0)(garbled), [[0.0, 0.0], [-1.0, 1.0]])
