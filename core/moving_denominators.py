"""Denominators π_ref that move with the policy being trained, as log-probs without gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from core.checks import check_bounds, check_fields, check_range
from core.protocols import Denominator
from core.reductions import Level, at_level
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class PowerPolicy:
    """π_ref = p^(1 − α): the ratio is p^α, between maximum likelihood (α = 0) and p itself (α = 1).

    The objective is (p^α − 1)/α, whose limit at α = 0 is log p.

    See Beyond Log Likelihood, Li et al., 2025 (https://arxiv.org/abs/2510.00526).

    Args:
        alpha: α, at least 0; the paper also tries 10, which all but ignores unlikely tokens.
    """

    alpha: float

    latex: ClassVar[str] = r"\pi_\theta^{1-%(alpha)s}"

    def __post_init__(self) -> None:
        check_range(self, "alpha", 0.0)

    def __call__(
        self,
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return (1 − α) log p."""
        return (1.0 - self.alpha) * policy.logp

    def integral(
        self,
        ratio: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"] | None:
        """Return (ratio − 1)/α; None at α = 0, where the ratio does not move."""
        return (ratio - 1.0) / self.alpha if self.alpha else None


@dataclass(frozen=True)
class FlooredPolicy:
    """π_ref = max(p, floor): maximum likelihood where p ≥ floor, and less and less of it below.

    See Trust-Region Adaptive Policy Optimization, Su et al., 2025 (https://arxiv.org/abs/2512.17636)
    (TrSFT).

    Args:
        floor: A probability above 0.
    """

    floor: float = 0.1

    latex: ClassVar[str] = r"\max(\pi_\theta,\,%(floor)s)"

    def __post_init__(self) -> None:
        check_range(self, "floor", 0.0, 1.0)
        if self.floor == 0.0:
            raise ValueError("FlooredPolicy.floor=0 bounds nothing; use CurrentPolicy, or a positive floor")

    def __call__(
        self,
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return log max(p, floor)."""
        return policy.logp.clamp(min=math.log(self.floor))

    def integral(
        self,
        ratio: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the ratio: the loss holds the floored probability constant."""
        return ratio


@dataclass(frozen=True)
class ClippedRatio:
    """π_ref = π_θ / clip(ρ, low, high): every token keeps its gradient, with a bounded weight.

    ρ = π_θ/π_to of the token, of the whole row (product), or of its average token (geometric mean); the
    objective is sg(clip(ρ)) · log π_θ. A row's log ρ is also cut at ±80, where float32 ends.

    See MiniMax-M1, MiniMax, 2025 (https://arxiv.org/abs/2506.13585) (CISPO, token), and Supervised
    Fine Tuning on Curated Data is Reinforcement Learning, Qin and Springenberg, 2025
    (https://arxiv.org/abs/2507.12856) (iw-SFT, row).

    Args:
        low: Lower bound of ρ itself, at least 0; None for no bound.
        high: Upper bound of ρ itself, above 0; None for no bound.
        to: What ρ compares with: the policy that sampled the rows, or the frozen anchor.
        level: Whose ρ: "token", "sequence" or "sequence_mean".
    """

    low: float | None = None
    high: float | None = None
    to: Literal["behavior", "reference"] = "behavior"
    level: Level = "token"

    latex: ClassVar[str] = r"\pi_\theta/\mathrm{clip}(\pi_\theta/\pi_{%(to)s},\,%(low)s,\,%(high)s)"

    def __post_init__(self) -> None:
        check_bounds(self, 0.0)
        check_fields(self)
        if self.high == 0.0:
            raise ValueError("ClippedRatio.high=0 gives every token the weight 0; give a bound above 0")

    @property
    def needs(self) -> frozenset[str]:
        """The log-probs that ρ compares with."""
        return frozenset({f"{self.to}_logp"})

    def __call__(self, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return log π_θ − log clip(ρ)."""
        ratio = at_level(self.level, policy.logp - batch.require(f"{self.to}_logp", self), batch)
        low = math.log(self.low) if self.low else -math.inf
        high = math.inf if self.high is None else math.log(self.high)
        return policy.logp - ratio.clamp(low, high)


@dataclass(frozen=True)
class Detached:
    """The same π_ref, but with a weight held constant in the objective:   sg(ratio) · log π_θ.

    The gradient is that of the bare denominator; only the reported loss differs. `Detached(Unit())` gives
    Dynamic Fine-Tuning.

    See On the Generalization of SFT, Wu et al., 2025 (https://arxiv.org/abs/2508.05629).

    Args:
        denominator: What π_ref is.
    """

    denominator: Denominator

    latex: ClassVar[str] = r"%(denominator)s,\ \mathrm{sg}[\rho]"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the log π_ref of the denominator."""
        return self.denominator(policy, batch)
