"""UFT: reinforcement of continuations of a hint that shrinks to nothing, and imitation of the hint.

Terms, the rollouts beginning with the first k of 5 pieces of the demonstration:
  ClipMask · BehaviorPolicy · GroupRelative · TokenLikelihood on the sampled tokens
  KeepAll · CurrentPolicy · Constant(1) · TokenLikelihood on the hint's tokens
See UFT, Liu et al., 2025 (https://arxiv.org/abs/2505.16984), eq. 3 and alg. 1.
Differs from the released code: no KL to the starting policy and no entropy bonus (0.001 each there); the
hint's log-likelihood is a mean over rollouts of token means.
"""

from algorithms.estimators import clipped, imitation
from core import (
    Algorithm,
    BinomialChunks,
    Cosine,
    DemonstrationPrefix,
    PrefixTokens,
    RolloutPlan,
    Rollouts,
    SampledTokens,
    SequenceMean,
    Term,
    Until,
)


def uft(
    *,
    hint_weight: float = 0.001,
    start: float = 0.95,
    end: float = 0.05,
    over: float = 0.6,
    chunks: int = 5,
    clip: float = 0.2,
) -> Algorithm:
    """Compose UFT.

    Args:
        hint_weight: β, weight of the hint's imitation.
        start: Chance of each piece to be part of the hint, at the beginning.
        end: Chance at the end of the hints, along half a cosine.
        over: Share of the run's steps after which no hint is given (300 of the paper's 500).
        chunks: Pieces of a demonstration.
        clip: Distance of the ratio's bounds from 1.
    """
    estimator = clipped(clip, clip)
    hint = DemonstrationPrefix(BinomialChunks(Until(Cosine(start, end), over), chunks))
    return Algorithm(
        "uft",
        terms=(
            Term("reinforce", estimator, Rollouts(), SequenceMean(), tokens=SampledTokens()),
            Term("imitate", imitation(), Rollouts(), SequenceMean(), hint_weight, PrefixTokens()),
        ),
        rollouts=RolloutPlan(prefix=hint),
    )
