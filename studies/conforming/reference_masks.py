"""Masks of the paper's released code that none of the core's parts are.

They stand for options of its loss functions that no algorithm here uses; each says which.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core import PolicyTokens, TokenBatch
from core.checks import check_range
from core.hooks import Bounded
from core.protocols import Mask


@dataclass(frozen=True)
class Logarithmic:
    """The loss holds a logarithm in the ratio's place:   g = weight · log ratio, plus the ratio if asked.

    1_stable = g′(ratio) · 1_mask(g),   f(ratio) = g as `mask` bounds it

    Options `logp` and `p_logp` of the reshapes where something bounds g, or where the ratio is to the
    behavior policy; `minus_old` of SRFT. Without a bound, a multiple of log π_θ is `CurrentPolicy`'s.

    Args:
        weight: Factor of the logarithm.
        plus_ratio: Whether the ratio is added.
        mask: What bounds g, which it is called with in the ratio's place.
    """

    weight: float
    plus_ratio: bool
    mask: Mask

    def __post_init__(self) -> None:
        check_range(self, "weight")

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return g′(ratio) where the mask keeps g."""
        slope = self.weight / ratio + float(self.plus_ratio)
        return slope * self.mask(self._inner(ratio), advantage, policy, batch)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return g, bounded."""
        inner = self._inner(ratio)
        if isinstance(self.mask, Bounded):
            return self.mask.bounded(inner, advantage, policy, batch)
        return inner * self.mask(inner, advantage, policy, batch)

    def _inner(self, ratio: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        return self.weight * ratio.log() + float(self.plus_ratio) * ratio


@dataclass(frozen=True)
class ConstantBound:
    """The objective of a token is at most that of a constant ratio:   min(ratio·Â, bound·Â).

    1_stable = 1  if (Â > 0 and ratio < bound) or (Â < 0 and ratio > bound), else 0

    What the clip does in the released SRFT: it clamps log π_θ, not the ratio, to [1 − ε, 1 + ε]. No log-prob
    is above 0, so that the clamp is 1 − ε for every token.

    Args:
        bound: 1 − ε.
    """

    bound: float = 0.8

    def __post_init__(self) -> None:
        # With ε above 1 the clamp would let some log-probs through, and be no constant.
        check_range(self, "bound", 0.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return 1 for tokens that the constant does not replace."""
        kept = torch.where(advantage > 0, ratio < self.bound, ratio > self.bound)
        return kept.to(ratio.dtype)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the smaller objective over Â."""
        return torch.where(advantage > 0, ratio.clamp(max=self.bound), ratio.clamp(min=self.bound))
