"""How masks that look across rows choose among all tokens of a step, whatever the order of the rows."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.types import TokenBatch

# Odd constants of the SplitMix64 generator, as signed numbers.
_WEYL = 0x9E3779B97F4A7C15 - 2**64
_FACTORS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def covariance(
    logp: Float[Tensor, "batch token"], advantage: Float[Tensor, "batch token"], step: TokenBatch
) -> Float[Tensor, "batch token"]:
    """Return (Â − mean Â)(log p − mean log p) at each token, with means over all response tokens."""
    inside = step.response_mask
    count = inside.sum().clamp(min=1)
    logp, advantage = (torch.where(inside, values, 0.0) for values in (logp, advantage))
    return (advantage - advantage.sum() / count) * (logp - logp.sum() / count)


def count_of(share: float, step: TokenBatch) -> int:
    """Return a share of the step's response tokens, rounded down but at least 1."""
    return max(int(share * step.response_mask[step.response_mask].numel()), 1)


def quantile(values: Float[Tensor, "row token"], level: float) -> Float[Tensor, "row 1"]:
    """Return a quantile of each row's finite values, interpolated linearly between neighbours."""
    last = (values.isfinite().sum(dim=1, keepdim=True) - 1).clamp(min=0)
    place = level * last.double()
    # (1 − 0.7) · 10 rounds to more than 3: without this, a threshold at a token would lie above it.
    place = torch.where((place - place.round()).abs() < 1e-6, place.round(), place)
    ascending = values.sort(dim=1).values
    below = ascending.gather(1, place.floor().long())
    above = ascending.gather(1, place.ceil().long())
    part = (place - place.floor()).to(values.dtype)
    return torch.where(part == 0, below, below + part * (above - below))


def pick(
    score: Float[Tensor, "batch token"],
    among: Bool[Tensor, "batch token"],
    count: int,
    hashes: Int[Tensor, "batch token"],
) -> Bool[Tensor, "batch token"]:
    """Return the `count` tokens of highest score among some; where scores are equal, those of lowest hash.

    Tokens equal in both, as two rows that are the same have them, are taken or left together.
    """
    scores, ties = score[among], hashes[among]
    order = ties.argsort()
    order = order[scores[order].argsort(descending=True, stable=True)]
    last = order[:count][-1:]
    picked = (scores > scores[last]) | ((scores == scores[last]) & (ties <= ties[last]))
    return torch.zeros_like(among).masked_scatter(among, picked)


def content_hash(logp: Float[Tensor, "batch token"], step: TokenBatch) -> Int[Tensor, "batch token"]:
    """Return a pseudo-random number of each token, made of its row's log-probs and of its place in the row.

    Where the row stands in the step, and how far it is padded, does not enter.
    """
    inside = step.response_mask
    # Adding 0 makes one of the two zeros that compare equal but differ in their bits.
    bits = (logp.double() + 0.0).view(torch.int64)
    tokens = _mix(bits ^ _mix(inside.cumsum(dim=1)))
    # Whole numbers wrap around and never round: their sum is the same in any order.
    row = torch.where(inside, tokens, 0).sum(dim=1, keepdim=True)
    return _mix(tokens ^ _mix(row))


def _mix(bits: Int[Tensor, "batch some"]) -> Int[Tensor, "batch some"]:
    """Return numbers that look unrelated to their arguments, one for each.

    See Fast Splittable Pseudorandom Number Generators, Steele, Lea and Flood, 2014, fig. 17.
    """
    bits = bits + _WEYL
    for factor, shift in zip(_FACTORS, (30, 27), strict=True):
        bits = (bits ^ _shift(bits, shift)) * factor
    return bits ^ _shift(bits, 31)


def _shift(bits: Int[Tensor, "batch some"], places: int) -> Int[Tensor, "batch some"]:
    """Return the bits shifted right, zeros coming in: torch's own shift repeats the sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
