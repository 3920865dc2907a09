import dataclasses

import pytest
import torch

from core import Gae, RewardToGo, token_rewards
from core.returns import last_token
from tests.core.batches import batch
from tests.core.steps import for_any_seed, random_step


def holed(rewards, mask, **fields):
    """Return rollouts with this response mask; tokens outside it hold NaN."""
    mask = torch.tensor(mask).bool()
    step = batch(rewards, lengths=[mask.shape[1]] * len(rewards))
    fields = {
        name: torch.where(mask, torch.tensor(value, dtype=torch.float64), torch.nan)
        for name, value in fields.items()
    }
    return dataclasses.replace(step, response_mask=mask, **fields)


def textbook(step, row, gamma, lam):
    """Return a row's generalized advantages over its response tokens alone, written as the double sum."""
    kept = step.response_mask[row]
    rewards = token_rewards(step)[row][kept].tolist()
    values = [*step.value[row][kept].tolist(), 0.0]
    errors = [r + gamma * values[t + 1] - values[t] for t, r in enumerate(rewards)]
    return [
        sum((gamma * lam) ** (s - t) * error for s, error in enumerate(errors) if s >= t)
        for t in range(len(errors))
    ]


def test_the_reward_falls_on_the_last_response_token():
    step = holed([3.0, 5.0, 7.0], [[1, 1, 0], [1, 0, 1], [0, 0, 0]])
    assert token_rewards(step).tolist() == [[0, 3, 0], [0, 0, 5], [0, 0, 0]]
    assert last_token(step).tolist() == [[False, True, False], [False, False, True], [False] * 3]


def test_rewards_given_by_token_are_taken_inside_the_response():
    step = holed([9.0], [[1, 0, 1]], token_reward=[[0.5, 4.0, -1.0]])
    assert token_rewards(step).tolist() == [[0.5, 0, -1]]


def test_reward_to_go_worked_by_hand():
    # From the back: 8, then 4 + 8/2, then a hole that takes no time, then 2 + 8/2.
    step = holed([0.0], [[1, 0, 1, 1]], token_reward=[[2.0, 9.0, 4.0, 8.0]])
    assert RewardToGo(0.5)(step).tolist() == [[6, 0, 8, 8]]
    assert RewardToGo()(step).tolist() == [[14, 0, 12, 8]]
    assert RewardToGo(0.0)(step).tolist() == [[2, 0, 4, 8]]


def test_an_outcome_discounts_by_the_tokens_that_follow():
    step = holed([1.0], [[1, 1, 0, 1]])
    assert RewardToGo(0.5)(step).tolist() == [[0.25, 0.5, 0, 1]]


def test_gae_worked_by_hand():
    # gamma 1/2, λ 1/2. Last: δ = 1 − 2 = −1. Before: δ = 0 + ½ · 2 − 4 = −3, Â = −3 + ¼ · −1.
    step = holed([1.0], [[1, 0, 1]], value=[[4.0, 50.0, 2.0]])
    assert Gae(0.5, 0.5)(step).tolist() == [[-3.25, 0, -1]]
    assert Gae(0.5, 0.5).returns(step).tolist() == [[0.75, 0, 1]]


@for_any_seed
def test_gae_is_the_double_sum_over_response_tokens(seed):
    step = random_step(seed, by_token=bool(seed % 2))
    found = Gae(0.9, 0.7)(step)
    for row, mask in enumerate(step.response_mask):
        expected = torch.tensor(textbook(step, row, 0.9, 0.7), dtype=torch.float64)
        torch.testing.assert_close(found[row][mask], expected, rtol=1e-12, atol=1e-12)


@for_any_seed
def test_gae_at_its_ends_is_the_return_less_the_value_and_the_one_step_error(seed):
    step = random_step(seed, by_token=True)
    value = torch.where(step.response_mask, step.value, 0.0)
    torch.testing.assert_close(Gae(0.9, 1.0)(step), RewardToGo(0.9)(step) - value)
    torch.testing.assert_close(Gae(0.9, 1.0).returns(step), RewardToGo(0.9)(step))
    worthless = dataclasses.replace(step, value=torch.zeros_like(step.value))
    torch.testing.assert_close(Gae(0.9, 0.0)(worthless), token_rewards(step))


def test_gae_says_that_it_needs_values():
    assert Gae.needs == Gae.plan_needs == {"value"}
    with pytest.raises(ValueError, match="Gae reads value"):
        Gae()(batch([1.0]))


@pytest.mark.parametrize(
    "build", [lambda: Gae(1.5), lambda: Gae(1.0, -0.1), lambda: RewardToGo(float("nan"))]
)
def test_a_discount_outside_zero_and_one_is_refused(build):
    with pytest.raises(ValueError, match=r"must be a finite number in \[0\.0, 1\.0\]"):
        build()
