"""Advantages and returns that TRL's and verl's own code computed."""

import pytest
import torch

from core import (
    ActiveScaled,
    BatchScaled,
    ClippedReward,
    Gae,
    GreedyBaseline,
    GroupRelative,
    LeaveOneOut,
    OptimalBaseline,
    PenalizedByKl,
    RewardToGo,
    Whitened,
)
from tests.core.goldens import assert_close, cases, rows

CENTERED = GroupRelative(normalize_std=False)
VERL = {
    "grpo": lambda params: GroupRelative(normalize_std=params["norm_adv_by_std_in_grpo"]),
    "gae": lambda params: Whitened(gae(params)),
    "rloo": lambda params: LeaveOneOut(),
    "reinforce_plus_plus": lambda params: Whitened(RewardToGo(params["gamma"])),
    "reinforce_plus_plus_baseline": lambda params: Whitened(CENTERED),
    "remax": lambda params: GreedyBaseline(),
    "opo": lambda params: OptimalBaseline(),
    "gpg": lambda params: ActiveScaled(CENTERED, active="rewarded"),
}
RETURNS = {
    "gae": lambda params: gae(params),
    "reinforce_plus_plus": lambda params: RewardToGo(params["gamma"]),
    "remax": lambda params: RewardToGo(),
}


def gae(params):
    raw = Gae(params["gamma"], params["lam"])
    return PenalizedByKl(raw, params["kl_reward_coef"]) if params.get("kl_reward_coef") else raw


def trl(params):
    """Return what TRL's options say of the advantage."""
    if "normalize_advantages" not in params:
        scaled = params["scale_rewards"] == "group"
        part = GroupRelative(normalize_std=scaled, epsilon=params["advantage_eps"])
        return BatchScaled(part, params["advantage_eps"]) if params["scale_rewards"] == "batch" else part
    part = PenalizedByKl(LeaveOneOut(), params["beta"]) if params["beta"] else LeaveOneOut()
    if params.get("reward_clip_range"):
        part = ClippedReward(part, *params["reward_clip_range"])
    return Whitened(part, "rows", 1e-4, epsilon_on="std") if params["normalize_advantages"] else part


def of_verl(estimators):
    return cases("verl", lambda case: case["params"].get("adv_estimator") in estimators)


def computed_by_trl(case):
    """Whether the case has one scorable reward a row and an advantage made of it."""
    rewards = case["inputs"].get("rewards") or [None]
    return (
        bool(case["expected"].get("advantages"))
        and None not in rewards
        and not (case["inputs"].get("rewards_per_func"))
    )


@pytest.mark.parametrize("case", of_verl(VERL))
def test_advantages_are_those_of_verl(case):
    step = rows(case)
    expected = torch.tensor(case["expected"]["advantages"], dtype=torch.float64)
    found = VERL[case["params"]["adv_estimator"]](case["params"])(step)
    # Outside the response verl whitens what stands there.
    assert_close(found, torch.where(step.response_mask, expected, 0.0))


@pytest.mark.parametrize("case", of_verl(RETURNS))
def test_returns_are_those_of_verl_inside_the_response(case):
    step = rows(case)
    found = RETURNS[case["params"]["adv_estimator"]](case["params"]).returns(step)
    expected = torch.tensor(case["expected"]["returns"], dtype=torch.float64)
    # Outside it verl adds the values that stand there.
    assert_close(found, torch.where(step.response_mask, expected, 0.0))


@pytest.mark.parametrize("case", cases("trl", computed_by_trl))
def test_advantages_are_those_of_trl(case):
    step = rows(case)
    expected = torch.tensor(case["expected"]["advantages"], dtype=torch.float64)[:, None]
    assert_close(trl(case["params"])(step), torch.where(step.response_mask, expected, 0.0))
