"""GRPO with its KL penalty to the policy that the run started from.

Terms: ClipMask · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts, and −kl_weight · KL (k3),
each a mean over rows of token means.
See DeepSeekMath, Shao et al., 2024 (https://arxiv.org/abs/2402.03300), eq. 3-4; Approximating KL Divergence,
Schulman, 2020 (http://joschu.net/blog/kl-approx.html), for k1, k2 and k3.
"""

from algorithms.estimators import clipped
from core import (
    Algorithm,
    KlPenalty,
    Rollouts,
    SequenceMean,
    Term,
)


def grpo_kl(
    *, kl_weight: float = 0.04, clip_low: float = 0.2, clip_high: float = 0.2, normalize_std: bool = True
) -> Algorithm:
    """Compose GRPO with KL.

    Args:
        kl_weight: β, weight of the KL penalty.
        clip_low: Distance of the ratio's lower bound from 1.
        clip_high: Distance of the ratio's upper bound from 1.
        normalize_std: Divide advantages by the group's standard deviation.
    """
    estimator = clipped(clip_low, clip_high, normalize_std=normalize_std)
    reinforce = Term("reinforce", estimator, Rollouts(), SequenceMean())
    anchor = KlPenalty(kl_weight, Rollouts(), SequenceMean(), estimator="k3")
    return Algorithm("grpo_kl", terms=(reinforce, anchor))
