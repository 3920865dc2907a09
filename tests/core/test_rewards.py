import dataclasses
import math

import pytest
import torch

from core import ClippedReward, Gae, GroupRelative, LeaveOneOut, PenalizedByKl, RewardToGo, TotalReward
from core.needs import needs_of
from tests.core.batches import batch
from tests.core.steps import for_any_seed, random_step


def anchored(rewards, behavior, reference, demonstrations=None, **fields):
    behavior, reference = (torch.tensor(logps, dtype=torch.float64) for logps in (behavior, reference))
    step = batch(rewards, demonstrations=demonstrations, lengths=[behavior.shape[1]] * len(rewards))
    step = dataclasses.replace(step, response_mask=step.response_mask & (behavior < 0))
    return dataclasses.replace(step, behavior_logp=behavior, reference_logp=reference, **fields)


STEP = anchored([1.0, 0.5], [[-1.0, -2.0, 9.0], [-4.0, -1.0, 9.0]], [[-1.5, -3.0, 0.0], [-2.0, -1.0, 0.0]])


def test_the_penalty_falls_on_each_token_and_in_sum_on_the_row():
    # Distances ½ and 1 in the first row, −2 and 0 in the second; 0.2 of them is taken off.
    found = PenalizedByKl(TotalReward(), 0.2)(STEP)
    torch.testing.assert_close(found, torch.tensor([[0.7, 0.7, 0.0], [0.9, 0.9, 0.0]]).double())
    found = PenalizedByKl(RewardToGo(0.5), 0.2)(STEP)
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.8, 0.0], [0.65, 0.5, 0.0]]).double())


# Of the log-ratio log π_behavior − log π_reference, as the definitions are written.
ESTIMATORS = {
    "k1": lambda x: x,
    "k2": lambda x: x**2 / 2,
    "k3": lambda x: math.exp(-x) - 1 + x,
    "abs": abs,
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("limit", [None, 1.5])
def test_the_penalty_is_the_estimator_that_was_asked_for(estimator, limit):
    gaps, room = ([0.5, 1.0], [-2.0, 0.0]), limit or math.inf
    taken = [[min(max(ESTIMATORS[estimator](gap), -room), room) for gap in row] for row in gaps]
    found = PenalizedByKl(TotalReward(), 0.2, estimator, limit)(STEP)[:, 0].tolist()
    rewards = [1.0 - 0.2 * sum(taken[0]), 0.5 - 0.2 * sum(taken[1])]
    assert found == pytest.approx(rewards, rel=1e-12)
    found = PenalizedByKl(RewardToGo(), 0.2, estimator, limit)(STEP)[:, :2].tolist()
    for row, reward, whole in zip(found, rewards, taken, strict=True):
        # From the second token on, the first token's penalty is behind it.
        assert row == pytest.approx([reward, reward + 0.2 * whole[0]], rel=1e-12)


def test_a_limit_of_the_penalty_is_not_below_zero():
    with pytest.raises(ValueError, match=r"PenalizedByKl\.limit=-1\.0"):
        PenalizedByKl(TotalReward(), 0.2, "k3", -1.0)


def test_a_demonstration_keeps_its_reward():
    taught = dataclasses.replace(STEP, is_demonstration=torch.tensor([True, False]))
    found = PenalizedByKl(TotalReward(), 0.2)(taught)
    torch.testing.assert_close(found, torch.tensor([[1.0, 1.0, 0.0], [0.9, 0.9, 0.0]]).double())


def test_clipping_worked_by_hand():
    step = batch([-3.0, 0.25, 2.0], lengths=[1, 1, 1])
    assert ClippedReward(TotalReward(), -0.5, 1.0)(step)[:, 0].tolist() == [-0.5, 0.25, 1.0]


def test_rewards_by_token_keep_their_sum_when_clipped():
    rewards = torch.tensor([[1.0, 2.0], [0.5, -4.0]], dtype=torch.float64)
    step = dataclasses.replace(batch([3.0, -3.5]), token_reward=rewards)
    found = ClippedReward(RewardToGo(), -1.0, 1.0)(step)
    assert found.tolist() == [[1.0, 0.0], [-1.0, -1.5]]


def test_the_outer_change_of_rewards_comes_first():
    # Clipped to ½ and then lowered by 0.3 and −0.4; or lowered to 0.7 and 0.9, and then clipped.
    clipped_first = ClippedReward(PenalizedByKl(TotalReward(), 0.2), 0.0, 0.5)(STEP)
    lowered_first = PenalizedByKl(ClippedReward(TotalReward(), 0.0, 0.8), 0.2)(STEP)
    torch.testing.assert_close(clipped_first[:, 0], torch.tensor([0.2, 0.9]).double())
    torch.testing.assert_close(lowered_first[:, 0], torch.tensor([0.7, 0.8]).double())


@for_any_seed
def test_a_penalty_of_nothing_and_a_wide_clip_change_nothing(seed):
    step = random_step(seed)
    for inner in (LeaveOneOut(), RewardToGo(0.9), Gae(0.9, 0.8)):
        for part in (PenalizedByKl(inner, 0.0), ClippedReward(inner, -99.0, 99.0)):
            torch.testing.assert_close(part(step), inner(step), rtol=1e-12, atol=1e-12)


@for_any_seed
def test_the_returns_are_those_of_the_changed_rewards(seed):
    step = random_step(seed, by_token=True)
    value = torch.where(step.response_mask, step.value, 0.0)
    for part in (PenalizedByKl(Gae(0.9, 0.8), 0.3), ClippedReward(Gae(0.9, 0.8), -0.2, 0.4)):
        torch.testing.assert_close(part.returns(step), part(step) + value)


def test_an_advantage_without_returns_has_none_of_other_rewards_either():
    for part in (PenalizedByKl(GroupRelative(), 0.1), ClippedReward(GroupRelative(), 0.0, 1.0)):
        with pytest.raises(TypeError, match="has no returns to train a critic on"):
            part.returns(STEP)


def test_the_penalty_needs_both_log_probs_when_the_step_is_planned():
    wanted = {"behavior_logp", "reference_logp", "rollouts"}
    assert needs_of(PenalizedByKl(LeaveOneOut(), 0.1)) == wanted
    assert needs_of(PenalizedByKl(LeaveOneOut(), 0.1), phase="plan_needs") == wanted - {"rollouts"}


def test_a_clip_must_leave_room():
    with pytest.raises(ValueError, match=r"ClippedReward\.high=0\.0"):
        ClippedReward(TotalReward(), 1.0, 0.0)
