"""Stabilization masks that bound how far a token's probability may have moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_bounds, check_fields, check_range
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class BoundMask:
    """Drop tokens whose ratio left a band, whatever the sign of their advantage.

    1_stable = 1  if low ≤ ratio ≤ high, else 0: the derivative of clamp(ratio, low, high)

    See Learning to Reason under Off-Policy Guidance, Yan et al., 2025 (https://arxiv.org/abs/2504.14945):
    the released code's off_min_clip and off_max_clip.

    Args:
        low: Lower bound of the ratio itself, at least 0; None for no bound.
        high: Upper bound of the ratio itself; None for no bound.
    """

    low: float | None = None
    high: float | None = None

    latex: ClassVar[str] = r"\mathbf{1}_{\rho\in[%(low)s,\,%(high)s]}"

    def __post_init__(self) -> None:
        check_bounds(self, 0.0)
        if self.low is None and self.high is None:
            raise ValueError("BoundMask without low and high bounds nothing; give one, or use KeepAll")

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return 1 inside the band and 0 outside."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return (~((ratio < low) | (ratio > high))).to(ratio.dtype)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the ratio, clamped to the band."""
        return ratio.clamp(self.low, self.high)


@dataclass(frozen=True)
class DivergenceMask:
    """Drop tokens that the advantage pushes further from a behavior policy they already left too far.

    1_stable = min(1, cap/ratio), but 0  if Â > 0, p > q and D > high  or  Â ≤ 0, p < q and D > low
    where p = π_θ(y_t), q = π_behavior(y_t) and D is a divergence of "this token or another":
    tv   D = |p − q|
    kl   D = q log(q/p) + (1 − q) log((1 − q)/(1 − p))

    See Rethinking the Trust Region in LLM Reinforcement Learning, Qi et al., 2026
    (https://arxiv.org/abs/2602.04879). The loss there is sg(1_stable · ratio) · log π_θ, with a weight held
    constant: compose it with `Detached(BehaviorPolicy())` to report that loss.

    Args:
        kind: Total variation, a share, or Kullback-Leibler divergence, in nats.
        low: Largest divergence downward that a token may have and still be pushed down.
        high: Largest divergence upward that a token may have and still be pushed up.
        cap: Bound of the ratio in the weight; None for no bound.
    """

    kind: Literal["tv", "kl"] = "tv"
    low: float = 0.1
    high: float = 0.1
    cap: float | None = 20.0

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp"})
    latex: ClassVar[str] = (
        r"\min(1,\,%(cap)s/\rho)\,\mathbf{1}_{\mathrm{clip}\,D_{%(kind)s}[-%(low)s,\,+%(high)s]}"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "low", 0.0)
        check_range(self, "high", 0.0)
        if self.cap is not None:
            check_range(self, "cap", 0.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the cap's weight at kept tokens and 0 at the others."""
        dropped = self._dropped(advantage, policy.logp, batch.require("behavior_logp", self))
        weight = torch.ones_like(ratio) if self.cap is None else (self.cap / ratio).clamp(max=1.0)
        return torch.where(dropped, 0.0, weight)

    def _dropped(
        self,
        advantage: Float[Tensor, "batch token"],
        new_logp: Float[Tensor, "batch token"],
        old_logp: Float[Tensor, "batch token"],
    ) -> Bool[Tensor, "batch token"]:
        new, old = new_logp.exp(), old_logp.exp()
        divergence = (new - old).abs() if self.kind == "tv" else _binary_kl(old_logp, new_logp)
        up = (advantage > 0) & (new > old) & (divergence > self.high)
        down = (advantage <= 0) & (new < old) & (divergence > self.low)
        return up | down


def _binary_kl(
    old_logp: Float[Tensor, "batch token"], new_logp: Float[Tensor, "batch token"]
) -> Float[Tensor, "batch token"]:
    """Return the divergence of two coins that show the token with the old and the new probability."""
    # 1 − p without cancellation; the 1e-8 keeps its logarithm finite at p = 1.
    old_rest, new_rest = ((-logp.expm1()).clamp(min=0.0) + 1e-8 for logp in (old_logp, new_logp))
    return old_logp.exp() * (old_logp - new_logp) + (-old_logp.expm1()) * (old_rest / new_rest).log()
