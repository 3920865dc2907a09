"""GMPO: the geometric mean of the response's token ratios, each clipped on its own.

Term: KeepAll · BehaviorPolicy · GroupRelative · GeometricLikelihood on rollouts, mean over rows of token
means.
See Geometric-Mean Policy Optimization, Zhao et al., 2025 (https://arxiv.org/abs/2507.20673), eq. 4.
"""

from core import (
    Algorithm,
    BehaviorPolicy,
    GeometricLikelihood,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    Term,
)


def gmpo(*, clip_low: float = 0.4, clip_high: float = 0.4) -> Algorithm:
    """Compose GMPO.

    Args:
        clip_low: Lower bound of a token's log-ratio, below 0, in nats.
        clip_high: Upper bound of a token's log-ratio, in nats.
    """
    estimator = PolicyGradient(
        KeepAll(), BehaviorPolicy(), GroupRelative(), GeometricLikelihood(clip_low, clip_high)
    )
    return Algorithm("gmpo", terms=(Term("reinforce", estimator, Rollouts(), SequenceMean()),))
