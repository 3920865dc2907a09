import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import (
    Constant,
    GreedyBaseline,
    GroupRelative,
    LeaveOneOut,
    OptimalBaseline,
    Outcome,
    TotalReward,
)
from tests.core.batches import batch

REWARDS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0])
STEPS = st.lists(st.tuples(REWARDS, st.integers(0, 3), st.booleans()), min_size=1, max_size=12)


def per_row(part, step):
    """Return a part's advantage of each row, which all its tokens share."""
    found = part(step)
    assert torch.equal(found, torch.where(step.response_mask, found[:, :1], 0.0))
    return found[:, 0]


def test_credits_stand_on_response_tokens_only():
    step = batch([1.0, 0.0], lengths=[1, 3])
    assert Constant(0.3)(step).tolist() == [[0.3, 0, 0], [0.3, 0.3, 0.3]]
    assert Outcome(0.7, -0.2)(step).tolist() == [[0.7, 0, 0], [-0.2, -0.2, -0.2]]


def test_only_a_reward_of_exactly_one_is_solved():
    assert per_row(Outcome(), batch([1.0, 0.999, 0.0, 2.0])).tolist() == [1, -1, -1, -1]


def test_group_relative_worked_by_hand():
    # Mean 1/4; squares 9/16 + 3 · 1/16 = 3/4; over n − 1 = 3 gives variance 1/4 and std 1/2.
    step = batch([1.0, 0.0, 0.0, 0.0])
    assert per_row(GroupRelative(normalize_std=False), step).tolist() == [0.75, -0.25, -0.25, -0.25]
    assert per_row(GroupRelative(epsilon=0.0), step).tolist() == [1.5, -0.5, -0.5, -0.5]
    assert per_row(GroupRelative(epsilon=0.5), step).tolist() == [0.75, -0.25, -0.25, -0.25]


def test_demonstrations_move_the_baseline_only_where_they_are_members():
    # With the demonstration: mean 1/2. Without: mean 1/3, and the demonstration is 2/3 above it.
    step = batch([1.0, 0.0, 0.0, 1.0], demonstrations=[False, False, False, True])
    everyone = GroupRelative("rollouts_and_demonstrations", normalize_std=False)
    assert per_row(everyone, step).tolist() == [0.5, -0.5, -0.5, 0.5]
    alone = per_row(GroupRelative(normalize_std=False), step)
    torch.testing.assert_close(alone, torch.tensor([2, -1, -1, 2], dtype=torch.float64) / 3)


@pytest.mark.parametrize("normalize_std", [True, False])
def test_a_single_member_is_credited_its_reward(normalize_std):
    found = per_row(GroupRelative(normalize_std=normalize_std), batch([0.5, 1.0], groups=[4, 9]))
    divisor = 1 + 1e-6 if normalize_std else 1.0
    torch.testing.assert_close(
        found, torch.tensor([0.5, 1.0], dtype=torch.float64) / divisor, rtol=1e-15, atol=0
    )


def test_a_row_outside_a_group_without_spread_is_not_divided_by_epsilon():
    step = batch([0.0, 0.0, 1.0], demonstrations=[False, False, True])
    found = per_row(GroupRelative(), step)
    torch.testing.assert_close(found, torch.tensor([0, 0, 1 / (1 + 1e-6)], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reward", [0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("count", [2, 3, 7, 8])
def test_equal_rewards_are_credited_exactly_nothing(count, reward, dtype):
    step = batch([reward] * count + [1.0, 0.0], groups=[0] * count + [1, 1], dtype=dtype)
    assert not per_row(GroupRelative(), step)[:count].any()


@given(STEPS, st.booleans(), st.sampled_from(["rollouts", "rollouts_and_demonstrations"]))
def test_advantages_of_a_group_with_several_members_sum_to_zero(rows, normalize_std, members):
    rewards, groups, demonstrations = (list(column) for column in zip(*rows, strict=True))
    step = batch(rewards, groups, demonstrations)
    found = per_row(GroupRelative(members, normalize_std), step)
    belongs = ~step.is_demonstration | (members != "rollouts")
    for question in set(groups):
        chosen = belongs & (step.group == question)
        if chosen.sum() > 1:
            assert abs(found[chosen].sum()) < 1e-12 * len(rows)


@given(STEPS, st.integers(-3, 3))
def test_a_reward_added_to_every_member_changes_no_difference(rows, shift):
    rewards, groups, _ = (list(column) for column in zip(*rows, strict=True))
    part = GroupRelative(normalize_std=False)
    before = per_row(part, batch(rewards, groups))
    after = per_row(part, batch([reward + shift for reward in rewards], groups))
    several = torch.tensor([groups.count(group) > 1 for group in groups])
    torch.testing.assert_close(after[several], before[several], rtol=0, atol=1e-12)


def test_the_total_reward_is_credited_as_it_is():
    assert per_row(TotalReward(), batch([0.25, -3.0])).tolist() == [0.25, -3.0]


def test_leave_one_out_worked_by_hand():
    # The other rollouts of the first have mean (0 + 0.5) / 2; the demonstration is compared with all three.
    step = batch([1.0, 0.0, 0.5, 1.0, 0.7], [0, 0, 0, 0, 8], [False, False, False, True, False])
    assert per_row(LeaveOneOut(), step).tolist() == [0.75, -0.75, 0.0, 0.5, 0.7]


def test_a_demonstration_is_compared_with_a_single_rollout_but_that_rollout_with_nothing():
    step = batch([1.0, 0.25, 1.0], [0, 0, 4], [True, False, True])
    assert per_row(LeaveOneOut(), step).tolist() == [0.75, 0.25, 1.0]


@given(STEPS)
def test_leave_one_out_is_the_textbook_formula(rows):
    rewards, groups, _ = (list(column) for column in zip(*rows, strict=True))
    expected = []
    for i, question in enumerate(groups):
        others = [r for j, r in enumerate(rewards) if groups[j] == question and j != i]
        expected.append(rewards[i] - (sum(others) / len(others) if others else 0.0))
    found = per_row(LeaveOneOut(), batch(rewards, groups))
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


@given(STEPS)
def test_leave_one_out_advantages_of_several_rollouts_sum_to_zero(rows):
    rewards, groups, demonstrations = (list(column) for column in zip(*rows, strict=True))
    step = batch(rewards, groups, demonstrations)
    found = per_row(LeaveOneOut(), step)
    for question in set(groups):
        chosen = ~step.is_demonstration & (step.group == question)
        if chosen.sum() > 1:
            assert abs(found[chosen].sum()) < 1e-12 * len(rows)


@pytest.mark.parametrize("part", [LeaveOneOut(), OptimalBaseline()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reward", [0.1, 0.3, 0.7, 1.0])
def test_other_baselines_too_credit_equal_rewards_with_exactly_nothing(part, reward, dtype):
    step = batch([reward] * 7, lengths=[1, 2, 3, 4, 5, 6, 7], dtype=dtype)
    assert not per_row(part, step).any()


def test_the_optimal_baseline_worked_by_hand():
    # Lengths 1, 3 and 4: (1 · 1 + 3 · 0 + 4 · 0.5) / 8 = 3/8; the demonstration does not enter it.
    step = batch([1.0, 0.0, 0.5, 1.0], [0] * 4, [False] * 3 + [True], lengths=[1, 3, 4, 9])
    assert per_row(OptimalBaseline(), step).tolist() == [0.625, -0.375, 0.125, 0.625]


def test_the_optimal_baseline_of_a_single_rollout_is_zero():
    step = batch([0.75, 1.0, 0.5], [0, 0, 1], [False, True, False], lengths=[2, 2, 2])
    assert per_row(OptimalBaseline(), step).tolist() == [0.75, 1.0, 0.5]


@given(STEPS, st.lists(st.integers(1, 6), min_size=12, max_size=12))
def test_advantages_to_the_optimal_baseline_sum_to_zero_over_a_groups_tokens(rows, lengths):
    rewards, groups, _ = (list(column) for column in zip(*rows, strict=True))
    found = OptimalBaseline()(batch(rewards, groups, lengths=lengths[: len(rewards)]))
    for question in set(groups):
        chosen = torch.tensor([group == question for group in groups])
        if chosen.sum() > 1:
            assert abs(found[chosen].sum()) < 1e-12


def test_the_greedy_baseline_is_taken_from_the_reward_to_go():
    step = batch([1.0, 0.5], lengths=[2, 3])
    step = dataclasses.replace(step, greedy_reward=torch.tensor([0.25, 1.0], dtype=torch.float64))
    assert GreedyBaseline()(step).tolist() == [[0.75, 0.75, 0.0], [-0.5, -0.5, -0.5]]
    given_ = torch.tensor([[1.0, 0.0, 9.0], [0.5, -0.5, 2.0]], dtype=torch.float64)
    by_token = dataclasses.replace(step, token_reward=given_)
    assert GreedyBaseline()(by_token).tolist() == [[0.75, -0.25, 0.0], [1.0, 0.5, 1.0]]
