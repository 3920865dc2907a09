"""GPG: REINFORCE with group baseline, rescaled for the rows whose group gives no gradient.

Term: KeepAll · CurrentPolicy · ActiveScaled(GroupRelative(no std)) · TokenLikelihood on rollouts, mean over
tokens.
See GPG, Chu et al., 2025 (https://arxiv.org/abs/2504.02546), eq. 7.
Differs from verl: rows with a signal are those of groups with different rewards, where verl counts those with
a reward other than 0 (`--set gpg.reinforce.advantage.active=rewarded`).
"""

from core import (
    ActiveScaled,
    Algorithm,
    CurrentPolicy,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
)


def gpg(*, normalize_std: bool = False) -> Algorithm:
    """Compose GPG.

    Args:
        normalize_std: Divide advantages by the group's standard deviation.
    """
    advantage = ActiveScaled(GroupRelative(normalize_std=normalize_std))
    estimator = PolicyGradient(KeepAll(), CurrentPolicy(), advantage, TokenLikelihood())
    return Algorithm("gpg", terms=(Term("reinforce", estimator, Rollouts(), TokenMean()),))
