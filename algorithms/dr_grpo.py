"""Dr. GRPO: GRPO without its two biases, the division by std and that by the response's length.

Term: ClipMask · BehaviorPolicy · GroupRelative(no std) · TokenLikelihood on rollouts, token sum over a
constant length, mean over rows.
See Understanding R1-Zero-Like Training, Liu et al., 2025 (https://arxiv.org/abs/2503.20783), eq. 3 and
listing 1.
"""

from algorithms.estimators import clipped
from core import Algorithm, FixedLengthMean, Rollouts, Term


def dr_grpo(*, length: int = 8192, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Compose Dr. GRPO.

    Args:
        length: Constant that token sums are divided by; the longest response allowed, in tokens.
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
    """
    estimator = clipped(clip_low, clip_high, normalize_std=False)
    return Algorithm("dr_grpo", terms=(Term("reinforce", estimator, Rollouts(), FixedLengthMean(length)),))
