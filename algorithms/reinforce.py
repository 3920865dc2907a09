"""REINFORCE: the log-likelihood of each rollout, weighted by its outcome.

Term: KeepAll · CurrentPolicy · Outcome(+1, −1) · TokenLikelihood on rollouts, mean over rows of token means.
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), table 1; Simple Statistical Gradient-Following
Algorithms for Connectionist Reinforcement Learning, Williams, 1992.
"""

from core import (
    Algorithm,
    CurrentPolicy,
    KeepAll,
    Outcome,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    Term,
    TokenLikelihood,
)


def reinforce(*, solved: float = 1.0, failed: float = -1.0) -> Algorithm:
    """Compose REINFORCE.

    Args:
        solved: Advantage of a solved rollout.
        failed: Advantage of a rollout that failed.
    """
    estimator = PolicyGradient(KeepAll(), CurrentPolicy(), Outcome(solved, failed), TokenLikelihood())
    return Algorithm("reinforce", terms=(Term("reinforce", estimator, Rollouts(), SequenceMean()),))
