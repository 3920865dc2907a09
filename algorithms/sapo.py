"""SAPO: a smooth fade-out by the ratio in the hard clip's place.

Term: SoftClipMask · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts, mean over rows of token
means.
See Soft Adaptive Policy Optimization, Gao et al., 2025 (https://arxiv.org/abs/2511.20347).
"""

from core import (
    Algorithm,
    BehaviorPolicy,
    GroupRelative,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    SoftClipMask,
    Term,
    TokenLikelihood,
)


def sapo(*, positive: float = 1.0, negative: float = 1.05) -> Algorithm:
    """Compose SAPO.

    Args:
        positive: Temperature τ of the gate where the advantage is positive.
        negative: Temperature τ elsewhere; the larger, the sooner a token fades out.
    """
    estimator = PolicyGradient(
        SoftClipMask(positive, negative), BehaviorPolicy(), GroupRelative(), TokenLikelihood()
    )
    return Algorithm("sapo", terms=(Term("reinforce", estimator, Rollouts(), SequenceMean()),))
