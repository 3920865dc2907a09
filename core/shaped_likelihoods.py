"""Likelihoods that bend or cut the log-ratio before it is differentiated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_bounds, check_fields, check_range
from core.protocols import Likelihood
from core.reductions import row_mean
from core.types import TokenBatch


@dataclass(frozen=True)
class GeometricLikelihood:
    """The geometric mean of the row's token ratios, each cut in the direction its advantage pushes.

    s = exp(1/|y| Σ_t l_t),   l_t = min(log ρ_t, high) if Â > 0, max(log ρ_t, −low) if Â < 0
    The gradient flows through the tokens that were not cut.

    See Geometric-Mean Policy Optimization, Zhao et al., 2025 (https://arxiv.org/abs/2507.20673).

    Args:
        low: Distance of the lower bound from 0 in the log, in nats.
        high: Distance of the upper bound from 0 in the log, in nats.
    """

    low: float = 0.4
    high: float = 0.4

    row_advantage: ClassVar[bool] = True
    latex: ClassVar[str] = (
        r"\nabla\prod_t\bar{\rho}_t^{1/|y|},\ \mathrm{where}\ "
        r"\bar{\rho}_t=\min(\rho_t,\,e^{%(high)s})\ \mathrm{if}\ \hat{A}>0,"
        r"\ \max(\rho_t,\,e^{-%(low)s})\ \mathrm{if}\ \hat{A}<0"
    )

    def __post_init__(self) -> None:
        check_range(self, "low", 0.0)
        check_range(self, "high", 0.0)

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean of the cut log-ratios at each of its tokens."""
        cut = torch.where(advantage > 0, log_ratio.clamp(max=self.high), log_ratio)
        cut = torch.where(advantage < 0, log_ratio.clamp(min=-self.low), cut)
        return row_mean(cut, batch)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean weight at each of its tokens that was not cut."""
        above = (advantage > 0) & (log_ratio > self.high)
        below = (advantage < 0) & (log_ratio < -self.low)
        return torch.where(batch.response_mask & ~(above | below), row_mean(weight, batch), 0.0)


@dataclass(frozen=True)
class ShapedLikelihood:
    """A ratio u that saturates:   f(u) = u/(u + γ),   ∇f = γ/(u + γ)² · ∇u.

    Against π_ref = 1 it lifts the gradient of unlikely tokens, by 1/γ for the most unlikely.

    See Learning to Reason under Off-Policy Guidance, Yan et al., 2025 (https://arxiv.org/abs/2504.14945).

    Args:
        gamma: γ, the ratio at which half of the range is reached; above 0.
    """

    gamma: float = 0.1

    latex: ClassVar[str] = r"\nabla[\rho_t/(\rho_t+%(gamma)s)]"

    def __post_init__(self) -> None:
        check_range(self, "gamma", 0.0)
        if self.gamma == 0.0:
            raise ValueError("ShapedLikelihood.gamma=0 leaves no gradient; give one above 0")

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return log u − log (u + γ)."""
        return log_ratio - self._log_sum(log_ratio)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return weight · γ/(u + γ), the derivative of the log of f by that of u."""
        return weight * (math.log(self.gamma) - self._log_sum(log_ratio)).exp()

    def _log_sum(self, log_ratio: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        return torch.logaddexp(log_ratio, log_ratio.new_tensor(math.log(self.gamma)))


@dataclass(frozen=True)
class ClampedLikelihood:
    """Another likelihood with its log-ratio clamped:   no gradient flows where it left the bounds.

    Args:
        likelihood: Whose log-ratio.
        low: Lower bound in nats; None for no bound.
        high: Upper bound in nats; None for no bound.
    """

    likelihood: Likelihood
    low: float | None = None
    high: float | None = None

    latex: ClassVar[str] = r"[%(likelihood)s]_{\log\rho\in[%(low)s,\,%(high)s]}"

    def __post_init__(self) -> None:
        check_fields(self)
        check_bounds(self)
        if self.low is None and self.high is None:
            raise ValueError("ClampedLikelihood without low and high clamps nothing; give one, or unwrap it")

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the clamped log-ratios."""
        return self.likelihood(log_ratio, advantage, batch).clamp(self.low, self.high)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return what the likelihood makes of the weights of tokens inside the bounds."""
        outside = self._outside(self.likelihood(log_ratio, advantage, batch))
        return self.likelihood.pull_back(torch.where(outside, 0.0, weight), log_ratio, advantage, batch)

    def _outside(self, value: Float[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return (value < low) | (value > high)
