"""ReMax: REINFORCE with the reward of the greedy response as baseline.

Term: KeepAll · CurrentPolicy · GreedyBaseline · TokenLikelihood on rollouts, mean over rows of token sums.
See ReMax, Li et al., 2023 (https://arxiv.org/abs/2310.10505), alg. 1.
Differs from the paper: no KL in the reward.
"""

from core import (
    Algorithm,
    CurrentPolicy,
    FixedLengthMean,
    GreedyBaseline,
    KeepAll,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
)


def remax() -> Algorithm:
    """Compose ReMax."""
    estimator = PolicyGradient(KeepAll(), CurrentPolicy(), GreedyBaseline(), TokenLikelihood())
    return Algorithm("remax", terms=(Term("reinforce", estimator, Rollouts(), FixedLengthMean(1)),))
