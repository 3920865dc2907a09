"""verl's rollout correction in bypass mode: the sampler's policy takes the behavior policy's place."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.moving_denominators import ClippedRatio
from core.reductions import row_sum
from core.types import PolicyTokens, TokenBatch
from studies.conforming.options import Inexpressible
from studies.conforming.verl_quirks import LEAK

BOUND = 20.0
"""verl's bound of log-ratios, in nats."""

Estimate = Callable[[Tensor], Tensor]

ESTIMATES: dict[str, Estimate] = {
    "k1": lambda moved: -moved,
    "k2": lambda moved: moved.square() / 2,
    "k3": lambda moved: moved.expm1() - moved,
}
"""What of a token's log(π_θ/π_behavior) is compared with the bounds."""


def _mean(values: Tensor, batch: TokenBatch) -> Tensor:
    length = batch.response_mask.sum(dim=1, keepdim=True).to(values.dtype)
    return row_sum(values, batch) / (length + LEAK)


def _max(values: Tensor, batch: TokenBatch) -> Tensor:
    lowest = torch.where(batch.response_mask, values, -torch.inf).amax(dim=1, keepdim=True)
    return lowest.expand_as(values)


REDUCTIONS: dict[str, Callable[[Tensor, TokenBatch], Tensor]] = {
    "token": lambda values, _: values,
    "seq_sum": row_sum,
    "seq_mean": _mean,
    "seq_max": _max,
}


@dataclass(frozen=True)
class Accepted:
    """Tokens that pass every one of several tests of how far the policy has moved from the behavior policy.

    Args:
        tests: Reduction over the row, estimate, lower and upper bound of each test.
    """

    tests: tuple[tuple[str, str, float, float], ...]

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "current_logp"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "current_logp"})

    def __call__(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        """Return the tokens that pass."""
        moved = step.require("current_logp", self) - step.require("behavior_logp", self)
        moved = moved.clamp(-BOUND, BOUND)
        kept = step.response_mask
        for reduction, estimate, low, high in self.tests:
            found = REDUCTIONS[reduction](ESTIMATES[estimate](moved), step)
            kept = kept & (found >= low) & (found <= high)
        return kept


@dataclass(frozen=True)
class Corrected:
    """The given advantage times the ratio to the sampler, clipped to what verl's arithmetic bears.

    verl takes ratios of whole rows before it rejects tokens, so that they are the plan's, not the term's.

    Args:
        ratio: Whose ratio, and its upper bound.
        band: Lowest and highest ratio that keeps its weight; None where all do.
        normalize: Divide the weights by their mean.
    """

    ratio: ClippedRatio
    band: tuple[float, float] | None = None
    normalize: bool = False

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "current_logp"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "current_logp"})
    per_token: ClassVar[bool] = True

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the weighed advantage."""
        policy = PolicyTokens(step.require("current_logp", self))
        weight = (policy.logp - self.ratio(policy, step)).exp()
        if self.band is not None:
            low, high = self.band
            weight = torch.where((weight >= low) & (weight <= high), weight, 0.0)
        if self.normalize:
            mean = self._mean(weight, step)
            weight = weight / torch.where(mean > LEAK, mean, 1.0)
        return torch.where(step.response_mask, step.require("advantage", self) * weight, 0.0)

    def _mean(self, weight: Float[Tensor, "batch token"], step: TokenBatch) -> Float[Tensor, ""]:
        """Return the mean over tokens, or over the means of rows that have tokens, as verl divides them."""
        length = step.response_mask.sum(dim=1).to(weight.dtype)
        total = torch.where(step.response_mask, weight, 0.0).sum(dim=1)
        if self.ratio.level == "token":
            return total.sum() / (length.sum() + LEAK)
        return (total / (length + LEAK))[length > 0].mean()


def read_tests(names: str, thresholds: str | float) -> tuple[tuple[str, str, float, float], ...]:
    """Return the tests that `rollout_rs` and `rollout_rs_threshold` name.

    Names are separated by commas; there is a threshold for each, or one for all. Those of k1 are bounds of a
    ratio, "low_high", or the upper one alone, whose inverse is the lower; the others are upper bounds.
    """
    options = list(dict.fromkeys(name.strip() for name in names.split(",")))
    bounds = [bound.strip() for bound in str(thresholds).split(",")]
    bounds = bounds * len(options) if len(bounds) == 1 else bounds
    if len(bounds) != len(options):
        raise Inexpressible(f"cannot express option rollout_rs_threshold={thresholds} for rollout_rs={names}")
    return tuple(_read_test(*pair) for pair in zip(options, bounds, strict=True))


def _read_test(name: str, bound: str) -> tuple[str, str, float, float]:
    reduction, _, estimate = name.rpartition("_")
    if reduction not in REDUCTIONS or estimate not in ESTIMATES or (reduction, estimate) == ("seq_max", "k1"):
        raise Inexpressible(f"cannot express option rollout_rs={name}")
    if estimate != "k1":
        return reduction, estimate, -math.inf, float(bound)
    low, _, high = bound.rpartition("_")
    return reduction, estimate, math.log(float(low) if low else 1.0 / float(high)), math.log(float(high))


def read_weight_bounds(threshold: str | float) -> tuple[float | None, float]:
    """Return the bounds that `rollout_is_threshold` names: an upper one alone truncates, "low_high" drops."""
    low, _, high = str(threshold).rpartition("_")
    return float(low) if low else None, float(high)
