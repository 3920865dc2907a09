"""GRPO: clipped policy gradient with the group's normalised reward as advantage.

Term: ClipMask · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts, mean over rows of token means.
See DeepSeekMath, Shao et al., 2024 (https://arxiv.org/abs/2402.03300), eq. 3.
Differs from the paper: no KL to the reference policy, as in Lv et al., 2025.
"""

from algorithms.estimators import clipped
from core import Algorithm, Rollouts, SequenceMean, Term


def grpo(*, clip_low: float = 0.2, clip_high: float = 0.2, normalize_std: bool = True) -> Algorithm:
    """Compose GRPO.

    Args:
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        normalize_std: Divide advantages by the group's standard deviation.
    """
    estimator = clipped(clip_low, clip_high, normalize_std=normalize_std)
    return Algorithm("grpo", terms=(Term("reinforce", estimator, Rollouts(), SequenceMean()),))
