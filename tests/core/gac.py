"""What GAC measures, in plain Python."""

import statistics

import torch

from core import (
    BehaviorPolicy,
    ClipMask,
    Constant,
    CurrentPolicy,
    GroupRelative,
    PolicyGradient,
    TokenLikelihood,
)
from core.soft_masks import PhiMask

REINFORCE = PolicyGradient(ClipMask(), BehaviorPolicy(), GroupRelative(), TokenLikelihood())
IMITATE = PolicyGradient(PhiMask(), CurrentPolicy(), Constant(), TokenLikelihood())


def variance(values):
    return statistics.pvariance(values) if len(values) > 1 else 0.0


def standardized(values):
    mean, spread = statistics.fmean(values), variance(values) ** 0.5
    return [(value - mean) / (spread or 1.0) for value in values]


def coefficients(step):
    """Return c of both estimators at each response token, row by row: φ, and Â · ratio or 0."""
    credit = GroupRelative()(step)
    imitate, reinforce = [], []
    for i, mask in enumerate(step.response_mask):
        for t in torch.nonzero(mask).flatten():
            p = step.current_logp[i, t].exp().item()
            ratio = (step.current_logp - step.behavior_logp)[i, t].exp().item()
            a = credit[i, t].item()
            clipped = (a > 0 and ratio > 1.2) or (a < 0 and ratio < 0.8)
            imitate.append((i, p * (1 - p)))
            reinforce.append((i, 0.0 if step.is_demonstration[i] or clipped else a * ratio))
    return imitate, reinforce


def textbook(step, trim=0.1):
    """Return σ_r², σ_s² and Δ² of a step, in plain Python."""
    rows = [i for i, mask in enumerate(step.response_mask) if mask.any()]
    credit = GroupRelative()(step)
    means = [credit[i][step.response_mask[i]].mean().item() for i in rows if not step.is_demonstration[i]]
    taught = [i for i in rows if step.is_demonstration[i]]
    surprise = sorted(-step.current_logp[i][step.response_mask[i]].mean().item() for i in taught)
    cut = int(len(surprise) * trim) if len(surprise) >= 4 else 0
    imitate, reinforce = coefficients(step)
    apart = [
        (i, (s - r) ** 2)
        for (i, _), s, r in zip(
            imitate,
            standardized([c for _, c in imitate]),
            standardized([c for _, c in reinforce]),
            strict=True,
        )
    ]
    by_row = [statistics.fmean([d for i, d in apart if i == row]) for row in rows]
    return variance(means), variance(surprise[cut : len(surprise) - cut]), statistics.fmean(by_row)
