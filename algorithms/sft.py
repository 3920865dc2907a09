"""Supervised fine-tuning: maximum likelihood of the demonstrations.

Term: KeepAll · CurrentPolicy · Constant(1) · TokenLikelihood on demonstrations, mean over tokens.
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), table 1.
Differs from the paper: its eq. 12 averages over the tokens of each demonstration; here, as in its released
code's imitation, long demonstrations weigh more than short ones.
"""

from algorithms.estimators import imitation
from core import (
    Algorithm,
    Demonstrations,
    Term,
    TokenMean,
)


def sft() -> Algorithm:
    """Compose supervised fine-tuning."""
    return Algorithm("sft", terms=(Term("imitate", imitation(), Demonstrations(), TokenMean()),))
