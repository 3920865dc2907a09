"""REINFORCE++: PPO's clip without a critic, advantages whitened over the step instead of the group.

Terms: ClipMask · BehaviorPolicy · Whitened(RewardToGo) · TokenLikelihood on rollouts, mean over tokens; the
baseline variant whitens the reward minus the group's mean.
See REINFORCE++, Hu et al., 2025 (https://arxiv.org/abs/2501.03262).
"""

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    GroupRelative,
    PolicyGradient,
    RewardToGo,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
    Whitened,
)


def reinforce_plus_plus(*, clip_low: float = 0.2, clip_high: float = 0.2, gamma: float = 1.0) -> Algorithm:
    """Compose REINFORCE++: whitened rewards, without a group.

    Differs from the paper: no KL in the reward (`--set 'reinforce_plus_plus.reinforce.advantage=Whitened(
    PenalizedByKl(RewardToGo(), 0.01))'` adds it).

    Args:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        gamma: Discount of later rewards.
    """
    estimator = PolicyGradient(
        ClipMask(clip_low, clip_high), BehaviorPolicy(), Whitened(RewardToGo(gamma)), TokenLikelihood()
    )
    return Algorithm("reinforce_plus_plus", terms=(Term("reinforce", estimator, Rollouts(), TokenMean()),))


def reinforce_plus_plus_baseline(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Compose REINFORCE++ with the group's mean reward as baseline.

    Differs from the paper: no KL, neither in the reward nor in the loss (`--set
    'reinforce_plus_plus_baseline.kl=KlPenalty(0.01, Rollouts(), TokenMean(), "k2")'` adds one).

    Args:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
    """
    advantage = Whitened(GroupRelative(normalize_std=False))
    estimator = PolicyGradient(ClipMask(clip_low, clip_high), BehaviorPolicy(), advantage, TokenLikelihood())
    return Algorithm(
        "reinforce_plus_plus_baseline", terms=(Term("reinforce", estimator, Rollouts(), TokenMean()),)
    )
