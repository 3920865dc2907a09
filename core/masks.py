"""Stabilization masks: which tokens' gradients are trusted, and how far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_range
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class KeepAll:
    """Trust every token:   1_stable = 1."""

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return ones."""
        return torch.ones_like(ratio)


@dataclass(frozen=True)
class ClipMask:
    """Drop tokens that left the trust region in the direction the advantage pushes.

    1_stable = 0  if (Â > 0 and ratio > 1 + high) or (Â < 0 and ratio < 1 − low), else 1
    which is where the derivative of min(ratio·Â, clip(ratio, 1 − low, 1 + high)·Â) is zero.

    See Proximal Policy Optimization Algorithms, Schulman et al., 2017
    (https://arxiv.org/abs/1707.06347), eq. 7, and Lv et al., 2025, app. B.3.

    Args:
        low: Distance of the lower bound from 1, in [0, 1].
        high: Distance of the upper bound from 1, at least 0.
    """

    low: float = 0.2
    high: float = 0.2

    def __post_init__(self) -> None:
        check_range(self, "low", 0.0, 1.0)
        check_range(self, "high", 0.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return 1 for kept tokens and 0 for clipped ones."""
        above = (advantage > 0) & (ratio > 1.0 + self.high)
        below = (advantage < 0) & (ratio < 1.0 - self.low)
        return (~(above | below)).to(ratio.dtype)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return min(ratio·Â, clip(ratio)·Â) / Â."""
        clipped = ratio.clamp(1.0 - self.low, 1.0 + self.high)
        return torch.where(advantage > 0, torch.minimum(ratio, clipped), torch.maximum(ratio, clipped))
