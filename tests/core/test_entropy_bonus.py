import pytest
import torch

from core import EntropyBonus, PolicyTokens, Rollouts, SequenceMean, TokenMean
from tests.core.batches import batch

STEP = batch([1.0, 0.0, 1.0], demonstrations=[False, False, True], lengths=[1, 3, 2])


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (TokenMean(), [[0.5, 0, 0], [0.5, 0.5, 0.5], [0, 0, 0]]),  # weight 2 over 4 tokens
        (SequenceMean(), [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 0]]),  # over 2 rows and their lengths
    ],
)
def test_the_bonus_weighs_the_entropy_of_the_chosen_rows_tokens(aggregation, expected):
    bonus = EntropyBonus(2.0, Rollouts(), aggregation)
    logp = torch.full((3, 3), -1.0, dtype=torch.float64)
    found = bonus.coefficients(bonus.plan(STEP), PolicyTokens(logp, -logp), STEP)
    torch.testing.assert_close(found.entropy, torch.tensor(expected, dtype=torch.float64))
    assert not found.logp.any()


def test_a_bonus_of_weight_zero_needs_nothing_and_leaves_every_row_idle():
    bonus = EntropyBonus(0.0, Rollouts(), TokenMean())
    plan = bonus.plan(STEP)
    assert bonus.needs == frozenset()
    assert not plan.weight.any()
    assert bonus.coefficients(plan, PolicyTokens(torch.zeros(3, 3)), STEP).entropy is None
