"""OPO: exact on-policy REINFORCE with the length-weighted baseline of least variance.

Term: KeepAll · CurrentPolicy · OptimalBaseline · TokenLikelihood on rollouts, mean over rows of token sums.
See On-Policy RL with Optimal Reward Baseline, Hao et al., 2025 (https://arxiv.org/abs/2505.23585).
"""

from core import (
    Algorithm,
    CurrentPolicy,
    FixedLengthMean,
    KeepAll,
    OptimalBaseline,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
)


def opo() -> Algorithm:
    """Compose OPO."""
    estimator = PolicyGradient(KeepAll(), CurrentPolicy(), OptimalBaseline(), TokenLikelihood())
    return Algorithm("opo", terms=(Term("reinforce", estimator, Rollouts(), FixedLengthMean(1)),))
