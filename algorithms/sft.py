"""Supervised fine-tuning: maximum likelihood of the demonstrations.

Term: KeepAll · CurrentPolicy · Constant(1) · TokenLikelihood on demonstrations, mean over tokens.
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), table 1.
"""

from core import (
    Algorithm,
    Constant,
    CurrentPolicy,
    Demonstrations,
    KeepAll,
    PolicyGradient,
    Term,
    TokenLikelihood,
    TokenMean,
)


def imitation() -> PolicyGradient:
    """Compose the estimator whose gradient is ∇ log π_θ of the response."""
    return PolicyGradient(KeepAll(), CurrentPolicy(), Constant(1.0), TokenLikelihood())


def sft() -> Algorithm:
    """Compose supervised fine-tuning."""
    return Algorithm("sft", terms=(Term("imitate", imitation(), Demonstrations(), TokenMean()),))
