"""CISPO: every token keeps its gradient, weighted by a clipped and constant importance ratio.

Term: KeepAll · ClippedRatio · GroupRelative · TokenLikelihood on rollouts, mean over tokens.
See MiniMax-M1, Chen et al., 2025 (https://arxiv.org/abs/2506.13585), eq. 4-5.
Differs from the paper: it states no upper bound; 5 is what ScaleRL, Khatri et al., 2025
(https://arxiv.org/abs/2510.13786), uses.
Differs from Lv et al., 2025, table 1: a 0/1 mask with π_ref = π_old, as they write it, would drop tokens;
clip(ratio) · ∇ log π_θ drops none and is the gradient with π_ref = π_θ / clip(ratio).
"""

from core import (
    Algorithm,
    ClippedRatio,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
)


def cispo(*, low: float = 0.0, high: float = 5.0, normalize_std: bool = True) -> Algorithm:
    """Compose CISPO.

    Args:
        low: Smallest importance weight; 0 leaves it unbounded below, as the paper does.
        high: Largest importance weight.
        normalize_std: Divide advantages by the group's standard deviation.
    """
    estimator = PolicyGradient(
        mask=KeepAll(),
        denominator=ClippedRatio(low, high),
        advantage=GroupRelative(normalize_std=normalize_std),
        likelihood=TokenLikelihood(),
    )
    return Algorithm("cispo", terms=(Term("reinforce", estimator, Rollouts(), TokenMean()),))
