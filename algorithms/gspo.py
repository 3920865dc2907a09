"""GSPO: one length-normalised ratio for the whole response, clipped and differentiated as a whole.

Term: ClipMask · BehaviorPolicy · GroupRelative · SequenceLikelihood on rollouts, mean over rows of token
means.
See Group Sequence Policy Optimization, Zheng et al., 2025 (https://arxiv.org/abs/2507.18071), eq. 5-7 and
sec. 5.1 for the bounds.
"""

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    GroupRelative,
    PolicyGradient,
    Rollouts,
    SequenceLikelihood,
    SequenceMean,
    Term,
)


def gspo(*, clip_low: float = 3e-4, clip_high: float = 4e-4, normalize_std: bool = True) -> Algorithm:
    """Compose GSPO.

    Args:
        clip_low: Distance of the response ratio's lower bound from 1.
        clip_high: Distance of the response ratio's upper bound from 1.
        normalize_std: Divide advantages by the group's standard deviation.
    """
    estimator = PolicyGradient(
        mask=ClipMask(clip_low, clip_high),
        denominator=BehaviorPolicy(),
        advantage=GroupRelative(normalize_std=normalize_std),
        likelihood=SequenceLikelihood(),
    )
    return Algorithm("gspo", terms=(Term("reinforce", estimator, Rollouts(), SequenceMean()),))
