"""Clip-Cov and KL-Cov: tokens whose log-prob and advantage covary most are held back, to keep entropy up.

Terms: ClipCovariance · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts, mean over tokens; or
KeepAll in the mask's place and a KL penalty to the behavior policy on the covarying tokens alone.
See The Entropy Mechanism of Reinforcement Learning for Reasoning Language Models, Cui et al., 2025
(https://arxiv.org/abs/2505.22617), eq. 10-13.
Differs from the released code: covariances are taken over the whole step, where the code takes each
micro-batch's.
"""

from algorithms.estimators import group_relative
from core import (
    Algorithm,
    ClipCovariance,
    KeepAll,
    KlPenalty,
    Rollouts,
    Term,
    TokenMean,
    TopCovariance,
)


def clip_cov(
    *,
    low: float = 1.0,
    high: float = 5.0,
    share: float = 0.0002,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Algorithm:
    """Compose Clip-Cov: a few of the covarying tokens lose their gradient.

    Differs from the released code: the tokens are drawn by a hash of their content, so that a step repeats
    exactly.

    Args:
        low: Smallest covariance of tokens that may be drawn.
        high: Largest covariance of tokens that may be drawn.
        share: Share of all tokens that is drawn and loses its gradient.
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
    """
    mask = ClipCovariance(low, high, share, clip_low, clip_high)
    estimator = group_relative(mask)
    return Algorithm("clip_cov", terms=(Term("reinforce", estimator, Rollouts(), TokenMean()),))


def kl_cov(*, share: float = 0.002, kl_weight: float = 1.0) -> Algorithm:
    """Compose KL-Cov: the tokens that covary most are held to the behavior policy by a KL penalty.

    Differs from the paper: covariances are those under the policy as the step is planned.

    Args:
        share: Share of all tokens, those of largest covariance, that are penalised.
        kl_weight: Weight of their KL penalty |log π_θ − log π_behavior|.
    """
    estimator = group_relative(KeepAll())
    covarying = TopCovariance(share, advantage=estimator.advantage)
    penalty = KlPenalty(kl_weight, Rollouts(), TokenMean(), estimator="abs", to="behavior", mask=covarying)
    return Algorithm("kl_cov", terms=(Term("reinforce", estimator, Rollouts(), TokenMean()), penalty))
