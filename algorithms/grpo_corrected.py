"""GRPO corrected for the mismatch between the engine that sampled and the trainer.

Term: ClipMask × the correction · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts, mean over rows
of token means. The correction is the importance weight π_behavior/π_sampler of the token, truncated (TIS) or
set to 0 outside its bounds (MIS).
"""

from algorithms.estimators import group_relative
from core import (
    Algorithm,
    AllOf,
    ClipMask,
    Mask,
    MaskedImportance,
    Rollouts,
    SequenceMean,
    Term,
    TruncatedImportance,
)


def _terms(clip: Mask, correction: Mask) -> tuple[Term]:
    return (Term("reinforce", group_relative(AllOf((clip, correction))), Rollouts(), SequenceMean()),)


def grpo_tis(*, cap: float = 2.0, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Compose GRPO with truncated importance sampling of what the engine sampled.

    See Your Efficient RL Framework Secretly Brings You Off-Policy RL Training, Yao et al., 2025
    (https://fengyao.notion.site/off-policy-rl).

    Args:
        cap: Largest importance weight.
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
    """
    return Algorithm("grpo_tis", terms=_terms(ClipMask(clip_low, clip_high), TruncatedImportance(cap)))


def grpo_mis(
    *, low: float = 0.0, high: float = 2.0, clip_low: float = 0.2, clip_high: float = 0.2
) -> Algorithm:
    """Compose GRPO with masked importance sampling of what the engine sampled.

    See When Speed Kills Stability, Liu et al., 2025, for whole responses (`--set
    grpo_mis.reinforce.mask.masks.1.level=sequence`); IcePop, Ling Team, 2025
    (https://arxiv.org/abs/2510.18855), for tokens.

    Args:
        low: Smallest importance weight of tokens that are kept; IcePop bounds it too, MIS only above.
        high: Largest importance weight of tokens that are kept.
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
    """
    return Algorithm("grpo_mis", terms=_terms(ClipMask(clip_low, clip_high), MaskedImportance(low, high)))
