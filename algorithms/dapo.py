"""DAPO: GRPO with a higher upper bound, a mean over tokens, and groups resampled until rewards differ.

Term: ClipMask · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts, mean over tokens.
See DAPO, Yu et al., 2025 (https://arxiv.org/abs/2503.14476), eq. 8-12.
Differs from the paper: no length penalty in the reward (its eq. 13), responses that were cut off are trained
like others, and resampling ends after some rounds, with fewer questions.
"""

from algorithms.estimators import clipped
from core import (
    Algorithm,
    DynamicSampling,
    RolloutPlan,
    Rollouts,
    Term,
    TokenMean,
)


def dapo(*, clip_low: float = 0.2, clip_high: float = 0.28, rounds: int = 10) -> Algorithm:
    """Compose DAPO.

    Args:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        rounds: Most rounds of resampling in a step.
    """
    estimator = clipped(clip_low, clip_high)
    return Algorithm(
        "dapo",
        terms=(Term("reinforce", estimator, Rollouts(), TokenMean()),),
        rollouts=RolloutPlan(dynamic=DynamicSampling(rounds)),
    )
