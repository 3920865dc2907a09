"""Stabilization masks that cut the ratio hard: which tokens' gradients are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_range
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class KeepAll:
    """Trust every token:   1_stable = 1."""

    latex: ClassVar[str] = r"1"

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

    latex: ClassVar[str] = r"\mathbf{1}_{\mathrm{clip}[1-%(low)s,\,1+%(high)s]}"

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


@dataclass(frozen=True)
class DualClipMask:
    """The min-clip, and no gradient either where Â < 0 and the ratio exploded.

    Â < 0:   max(min(ratio·Â, clip(ratio)·Â), dual·Â)  has derivative 0 where ratio < 1 − low or ratio > dual
    Otherwise `ClipMask`.

    See Mastering Complex Control in MOBA Games with Deep Reinforcement Learning, Ye et al., 2020
    (https://arxiv.org/abs/1912.09729).

    Args:
        low: Distance of the lower bound from 1, in [0, 1].
        high: Distance of the upper bound from 1, at least 0.
        dual: Largest ratio that a negative advantage still pushes down, at least 1.
    """

    low: float = 0.2
    high: float = 0.2
    dual: float = 3.0

    latex: ClassVar[str] = (
        r"\mathbf{1}_{\mathrm{clip}[1-%(low)s,\,1+%(high)s],\,\rho\le%(dual)s\ \mathrm{if}\ \hat{A}<0}"
    )

    def __post_init__(self) -> None:
        check_range(self, "low", 0.0, 1.0)
        check_range(self, "high", 0.0)
        check_range(self, "dual", 1.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return 1 for kept tokens and 0 for clipped ones."""
        kept = ClipMask(self.low, self.high)(ratio, advantage, policy, batch)
        return torch.where((advantage < 0) & (ratio > self.dual), 0.0, kept)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the bounded objective over Â."""
        clipped = ClipMask(self.low, self.high).bounded(ratio, advantage, policy, batch)
        return torch.where(advantage < 0, clipped.clamp(max=self.dual), clipped)


@dataclass(frozen=True)
class TwoSidedClipMask:
    """The min-clip of a ratio that is cut off above:   min(min(ratio, δ)·Â, clip(ratio)·Â).

    Its derivative is zero where Â > 0 and ratio > min(1 + high, δ), and where Â < 0 and ratio < 1 − low or
    ratio > max(1 + high, δ).

    See INTELLECT-2, Prime Intellect Team, 2025 (https://arxiv.org/abs/2505.07291), sec. 4.1.

    Args:
        low: Distance of the lower bound from 1, in [0, 1].
        high: Distance of the upper bound from 1, at least 0.
        delta: δ, a ratio; the paper asks for more than 1 + high, but any will do.
    """

    low: float = 0.2
    high: float = 0.2
    delta: float = 4.0

    def __post_init__(self) -> None:
        check_range(self, "low", 0.0, 1.0)
        check_range(self, "high", 0.0)
        check_range(self, "delta", 0.0)

    @property
    def latex(self) -> str:
        """The formula; with a δ inside the clip, which of the two bounds is the outer one is told."""
        high, outer = "1+%(high)s", "%(delta)s"
        if self.delta < 1.0 + self.high:
            high, outer = rf"\min({high},\,{outer})", rf"\max({high},\,{outer})"
        return rf"\mathbf{{1}}_{{\mathrm{{clip}}[1-%(low)s,\,{high}],\,\rho\le{outer}}}"

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return 1 for kept tokens and 0 for clipped ones."""
        high = 1.0 + self.high
        up = (advantage > 0) & (ratio > min(high, self.delta))
        down = (advantage < 0) & ((ratio < 1.0 - self.low) | (ratio > max(high, self.delta)))
        return (~(up | down)).to(ratio.dtype)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the bounded objective over Â."""
        cut, clipped = ratio.clamp(max=self.delta), ratio.clamp(1.0 - self.low, 1.0 + self.high)
        return torch.where(advantage > 0, torch.minimum(cut, clipped), torch.maximum(cut, clipped))
