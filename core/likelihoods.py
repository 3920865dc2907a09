"""Likelihoods: whether a token's gradient carries its own ratio or that of its whole response."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import TokenBatch


@dataclass(frozen=True)
class TokenLikelihood:
    """Every token carries its own ratio:   ∇π_θ(y_t)/π_ref(y_t)."""

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the log-ratios as they are."""
        return log_ratio


@dataclass(frozen=True)
class SequenceLikelihood:
    """Every token carries the length-normalised ratio of its response.

    s = (π_θ(y)/π_ref(y))^(1/|y|),   ∇s = s · (1/|y|) Σ_t ∇ log π_θ(y_t)
    so that s is every token's ratio and the 1/|y| belongs to the aggregation (`SequenceMean`).

    See Group Sequence Policy Optimization, Zheng et al., 2025 (https://arxiv.org/abs/2507.18071), eq. 7.
    """

    def __call__(
        self, log_ratio: Float[Tensor, "batch token"], batch: TokenBatch
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean log-ratio at each of its tokens."""
        kept = torch.where(batch.response_mask, log_ratio, 0.0)
        length = batch.response_mask.sum(dim=1, keepdim=True).clamp(min=1)
        return (kept.sum(dim=1, keepdim=True) / length).expand_as(log_ratio)
