"""Likelihoods: whose likelihood is differentiated, the token's, the response's, or a function of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.types import TokenBatch


def _row_mean(values: Float[Tensor, "batch token"], batch: TokenBatch) -> Float[Tensor, "batch token"]:
    """Return the mean over each row's response tokens, at all of its positions."""
    kept = torch.where(batch.response_mask, values, 0.0)
    length = batch.response_mask.sum(dim=1, keepdim=True).clamp(min=1)
    return (kept.sum(dim=1, keepdim=True) / length).expand_as(values)


@dataclass(frozen=True)
class TokenLikelihood:
    """Every token carries its own ratio:   ∇π_θ(y_t)/π_ref(y_t)."""

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the log-ratios as they are."""
        return log_ratio

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the weights as they are."""
        return weight


@dataclass(frozen=True)
class SequenceLikelihood:
    """One length-normalised ratio for the whole response, differentiated as a whole.

    s = (π_θ(y)/π_ref(y))^(1/|y|),   ∇s = s · (1/|y|) Σ_t ∇ log π_θ(y_t)

    See Group Sequence Policy Optimization, Zheng et al., 2025 (https://arxiv.org/abs/2507.18071), eq. 7.
    """

    row_advantage: ClassVar[bool] = True

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean log-ratio at each of its tokens."""
        return _row_mean(log_ratio, batch)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean weight at each of its tokens."""
        return torch.where(batch.response_mask, _row_mean(weight, batch), 0.0)
