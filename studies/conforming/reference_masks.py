"""Masks of the paper's released code that none of the core's parts are.

They stand for options of its loss functions that no algorithm here uses; each says which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core import BoundMask, ClipMask, KeepAll, PolicyTokens, TokenBatch
from core.checks import check_range
from core.hooks import Bounded
from core.protocols import Mask
from studies.conforming.options import Inexpressible


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
class LogBound:
    """The objective of a token is at most that of its bounded log-prob:   min(g·Â, max(log π_θ, bound)·Â).

    1_stable = 1  if g·Â < max(log π_θ, bound)·Â or log π_θ ≥ bound, else 0

    What the clip does in the released SRFT: it clamps log π_θ, not the ratio, to [1 − ε, 1 + ε]. No log-prob
    is above 0, so that with ε below 1 the clamp is 1 − ε for every token. With ε above 1 some log-probs pass
    it, and the mask is right for g that is a log-prob but for a constant.

    Args:
        bound: 1 − ε.
    """

    bound: float = 0.8

    def __post_init__(self) -> None:
        check_range(self, "bound")

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return 1 for tokens that no constant replaces."""
        bound = policy.logp.clamp(min=self.bound)
        kept = torch.where(advantage > 0, ratio < bound, ratio > bound) | (policy.logp >= self.bound)
        return kept.to(ratio.dtype)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the smaller objective over Â."""
        bound = policy.logp.clamp(min=self.bound)
        return torch.where(advantage > 0, torch.minimum(ratio, bound), torch.maximum(ratio, bound))


@dataclass(frozen=True)
class Clamped:
    """What is clamped from above and then from below:   max(min(g, high), low).

    1_stable = 1  if low ≤ g ≤ high, else 0

    Options `off_min_clip` and `off_max_clip` where a bound is negative, as g may be, or where they cross:
    `BoundMask` holds the bounds of a ratio. Crossed bounds leave every token the lower one, and no gradient.

    Args:
        low: Lower bound; −∞ for none.
        high: Upper bound; ∞ for none.
    """

    low: float
    high: float

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return 1 between the bounds and 0 elsewhere."""
        return ((ratio >= self.low) & (ratio <= self.high)).to(ratio.dtype)

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return g, clamped."""
        return ratio.clamp(max=self.high).clamp(min=self.low)


def clip_mask(low: float | None, high: float | None) -> Mask:
    """Return the min-clip of a ratio to [1 − low, 1 + high]; None stands for no clip."""
    return KeepAll() if low is None or high is None else ClipMask(min(low, 1.0), high)  # no ratio is below 0


def log_bound(low: float | None) -> Mask:
    """Return what the clip to [1 − low, …] does in SRFT; None stands for no clip."""
    return KeepAll() if low is None else LogBound(1.0 - low)


def check_narrow(low: float | None, option: str) -> None:
    """Raise Inexpressible for a lower bound 1 − low below 0, where more than a ratio can meet it."""
    if low is not None and low > 1.0:
        raise Inexpressible(f"cannot express a clip of {low} with {option}: it must be at most 1")


def bound_mask(low: float | None, high: float | None) -> Mask:
    """Return what bounds the loss of a demonstration's token; None stands for no bound."""
    if low is None and high is None:
        return KeepAll()
    floor, ceiling = (-math.inf if low is None else low), (math.inf if high is None else high)
    of_ratio = (low is None or low >= 0.0) and max(floor, 0.0) <= ceiling
    return BoundMask(low, high) if of_ratio else Clamped(floor, ceiling)
