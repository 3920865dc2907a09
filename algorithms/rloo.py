"""RLOO: the whole response is one action, its baseline the mean reward of its siblings.

Term: KeepAll · CurrentPolicy · LeaveOneOut · TokenLikelihood on rollouts, mean over rows of token sums.
See Back to Basics, Ahmadian et al., 2024 (https://arxiv.org/abs/2402.14740), eq. 8.
Differs from the paper: no KL in the reward (`--set 'rloo.reinforce.advantage=PenalizedByKl(LeaveOneOut(),
0.05)'` adds it).
"""

from core import (
    Algorithm,
    CurrentPolicy,
    FixedLengthMean,
    KeepAll,
    LeaveOneOut,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
)


def rloo() -> Algorithm:
    """Compose RLOO."""
    estimator = PolicyGradient(KeepAll(), CurrentPolicy(), LeaveOneOut(), TokenLikelihood())
    return Algorithm("rloo", terms=(Term("reinforce", estimator, Rollouts(), FixedLengthMean(1)),))
