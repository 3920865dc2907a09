"""GRPO whose ratio is bounded above for negative advantages too: dual clip, and two-sided clip.

Term: the mask · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts, mean over rows of token means.
"""

from algorithms.estimators import group_relative
from core import (
    Algorithm,
    DualClipMask,
    Mask,
    Rollouts,
    SequenceMean,
    Term,
    TwoSidedClipMask,
)


def _terms(mask: Mask) -> tuple[Term]:
    return (Term("reinforce", group_relative(mask), Rollouts(), SequenceMean()),)


def grpo_dual_clip(*, clip_low: float = 0.2, clip_high: float = 0.2, dual: float = 3.0) -> Algorithm:
    """Compose GRPO with a dual clip: unlikely tokens of failed responses lose their gradient at a bound too.

    See Mastering Complex Control in MOBA Games with Deep Reinforcement Learning, Ye et al., 2020
    (https://arxiv.org/abs/1912.09729), eq. 5.
    Differs from the paper: its PPO plays games with a critic's advantages; here they are the group's.

    Args:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        dual: Largest ratio of tokens with a negative advantage.
    """
    return Algorithm("grpo_dual_clip", terms=_terms(DualClipMask(clip_low, clip_high, dual)))


def grpo_two_sided_clip(*, clip_low: float = 0.2, clip_high: float = 0.2, delta: float = 4.0) -> Algorithm:
    """Compose GRPO with a two-sided clip: the ratio is cut off above before it is clipped.

    See INTELLECT-2, Prime Intellect Team, 2025 (https://arxiv.org/abs/2505.07291), sec. 4.1.
    Differs from the paper: no KL to the reference policy (weight 0.001 there).

    Args:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        delta: δ, largest ratio before the clip.
    """
    return Algorithm("grpo_two_sided_clip", terms=_terms(TwoSidedClipMask(clip_low, clip_high, delta)))
