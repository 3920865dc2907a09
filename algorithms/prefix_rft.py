"""Prefix-RFT: one rollout of each group continues a prefix of the demonstration, and all of it is reinforced.

Terms, Â over the group's rollouts, the continued one included:
  ClipMask · BehaviorPolicy · GroupRelative(no std) · TokenLikelihood on the sampled tokens
  the same, × TopEntropy, on the tokens of the prefix
each a token sum over a constant length, mean over rows.
See Blending Supervised and Reinforcement Fine-Tuning with Prefix Sampling, Huang et al., 2025
(https://arxiv.org/abs/2507.01679), sec. 3.
Differs from the paper: at least one token is left to sample, also of the shortest demonstration.
"""

from algorithms.estimators import group_relative
from core import (
    Algorithm,
    AllOf,
    ClipMask,
    Cosine,
    DemonstrationPrefix,
    FixedLengthMean,
    PrefixTokens,
    RolloutPlan,
    Rollouts,
    SampledTokens,
    Term,
    TopEntropy,
    UniformShare,
)


def prefix_rft(
    *,
    share: float = 0.2,
    longest: float = 0.95,
    shortest: float = 0.05,
    clip: float = 0.2,
    length: int = 8192,
) -> Algorithm:
    """Compose Prefix-RFT.

    Args:
        share: Share of a prefix's tokens, those of highest entropy, that keep their gradient.
        longest: Largest share of a demonstration that is given; the smallest begins here too.
        shortest: Where the smallest share has fallen to when the run ends, along half a cosine.
        clip: Distance of the ratio's bounds from 1.
        length: Constant that token sums are divided by; the longest response allowed, in tokens.
    """
    bounds, mean = ClipMask(clip, clip), FixedLengthMean(length)
    sampled = group_relative(bounds, normalize_std=False)
    given = group_relative(AllOf((bounds, TopEntropy(share, within="row"))), normalize_std=False)
    reinforce = Term("reinforce", sampled, Rollouts(), mean, tokens=SampledTokens())
    prefix = Term("prefix", given, Rollouts(), mean, tokens=PrefixTokens())
    lengths = UniformShare(Cosine(longest, shortest), longest)
    plan = RolloutPlan(prefix=DemonstrationPrefix(lengths, rollouts=1))
    return Algorithm("prefix_rft", terms=(reinforce, prefix), rollouts=plan)
