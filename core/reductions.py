"""Reductions over the tokens of one response."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import TokenBatch

Level = Literal["token", "sequence", "sequence_mean"]
"""What a log-ratio is taken of: a token, the whole row (its sum), or the row's average token (its mean)."""


def row_mean(values: Float[Tensor, "batch token"], batch: TokenBatch) -> Float[Tensor, "batch token"]:
    """Return the mean over each row's response tokens, at all of its positions; 0 for an empty response."""
    length = batch.response_mask.sum(dim=1, keepdim=True).clamp(min=1)
    return row_sum(values, batch) / length


def row_sum(values: Float[Tensor, "batch token"], batch: TokenBatch) -> Float[Tensor, "batch token"]:
    """Return the sum over each row's response tokens, at all of its positions."""
    kept = torch.where(batch.response_mask, values, 0.0)
    return kept.sum(dim=1, keepdim=True).expand_as(values)


def at_level(
    level: Level, values: Float[Tensor, "batch token"], batch: TokenBatch
) -> Float[Tensor, "batch token"]:
    """Return the log-ratios of tokens as they are, or each row's sum or mean of them at all its positions.

    Sums are cut at ±80: long rows reach them, and float32 ends at e^88.
    """
    if level == "token":
        return values
    return row_sum(values, batch).clamp(-80.0, 80.0) if level == "sequence" else row_mean(values, batch)
