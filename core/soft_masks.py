"""Stabilization masks with weights between hard keep and drop, and products of masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.hooks import Bounded, Planned
from core.protocols import Mask
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class SoftClipMask:
    """Fade a token out as its ratio leaves 1, in both directions:   f′(r) = 4σ(1 − σ).

    f(r) = 4/τ · σ(τ(r − 1)),   τ = positive if Â > 0 else negative
    where σ is the logistic function; f′(1) = 1.

    See Soft Adaptive Policy Optimization, Gao et al., 2025 (https://arxiv.org/abs/2511.20347).

    Args:
        positive: Temperature of tokens with a positive advantage; a larger one trusts fewer ratios.
        negative: That of all others.
    """

    positive: float = 1.0
    negative: float = 1.05

    latex: ClassVar[str] = (
        r"4s(1-s),\ \mathrm{where}\ s=\mathrm{sigmoid}(\tau(\rho-1)),"
        r"\ \tau=%(positive)s\ \mathrm{if}\ \hat{A}>0\ \mathrm{else}\ %(negative)s"
    )

    def __post_init__(self) -> None:
        for field in ("positive", "negative"):
            check_range(self, field, 0.0)
            if getattr(self, field) == 0.0:
                raise ValueError(
                    f"SoftClipMask.{field}=0 fades nothing out; use KeepAll, or a positive temperature"
                )

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return f′(ratio)."""
        excess = self._temperature(advantage) * (ratio - 1.0)
        # 1 − σ(x) as σ(−x): the difference would round to 0 long before the product with the ratio does.
        return 4.0 * excess.sigmoid() * (-excess).sigmoid()

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return f(ratio)."""
        temperature = self._temperature(advantage)
        return 4.0 / temperature * (temperature * (ratio - 1.0)).sigmoid()

    def _temperature(self, advantage: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        # A filled tensor: between two plain numbers torch.where works in float32.
        return torch.where(advantage > 0, torch.full_like(advantage, self.positive), self.negative)


@dataclass(frozen=True)
class PhiMask:
    """Train on what the policy is undecided about:   φ = p(1 − p),   p = π_θ(y_t) without gradient.

    See On-Policy RL Meets Off-Policy Experts, Zhang et al., 2025 (https://arxiv.org/abs/2508.11408)
    (CHORD-φ).
    """

    latex: ClassVar[str] = r"\pi_\theta(1-\pi_\theta)"

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return p(1 − p)."""
        return policy.logp.exp() * -policy.logp.expm1()


@dataclass(frozen=True)
class ExplorationMask:
    """Train most on what the policy would hardly have said:   (1 − p)^power,   p without gradient.

    See RL-PLUS, Dong et al., 2025 (https://arxiv.org/abs/2508.00222).

    Args:
        power: Exponent, at least 0; 0 trusts all tokens alike.
    """

    power: float = 0.5

    latex: ClassVar[str] = r"(1-\pi_\theta)^{%(power)s}"

    def __post_init__(self) -> None:
        check_range(self, "power", 0.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return (1 − p)^power."""
        # Rounding may leave a log-prob above 0, and no power is taken of a negative number.
        return (-policy.logp.expm1()).clamp(min=0.0) ** self.power


@dataclass(frozen=True)
class AllOf:
    """Trust a token as far as all of several masks do:   the product of their weights.

    Args:
        masks: At least one; at most one of them the derivative of a function of the ratio (`bounded`).
    """

    masks: tuple[Mask, ...]

    latex: ClassVar[str] = r"%(masks)s"

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.masks:
            raise ValueError("AllOf.masks=() trusts every token; use KeepAll")
        bounded = [mask for mask in self.masks if _bounds_ratio(mask)]
        if len(bounded) > 1:
            raise ValueError(
                f"AllOf.masks: {bounded[0]!r} and {bounded[1]!r} both bound the ratio, and the loss can hold "
                "only one function of it; keep one of them"
            )

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the product of the masks' weights."""
        return reduce(torch.mul, (mask(ratio, advantage, policy, batch) for mask in self.masks))

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the one mask's function of the ratio, or the ratio without one, times the other weights."""
        held = ratio
        others = torch.ones_like(ratio)
        for mask in self.masks:
            if isinstance(mask, Bounded) and _bounds_ratio(mask):
                held = mask.bounded(ratio, advantage, policy, batch)
            else:
                others = others * mask(ratio, advantage, policy, batch)
        # Select before multiplying: where a weight is 0 the ratio may have overflowed.
        return torch.where(others == 0, 0.0, held * others)

    def plan(self, step: TokenBatch, advantage: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        """Return the product of what the masks decide across rows."""
        planned = (mask.plan(step, advantage) for mask in self.masks if isinstance(mask, Planned))
        return reduce(torch.mul, planned, torch.ones_like(advantage))


def _bounds_ratio(mask: Mask) -> bool:
    """Return whether a mask, or one that it is a product of, is the derivative of a function of the ratio."""
    if isinstance(mask, AllOf):
        return any(_bounds_ratio(each) for each in mask.masks)
    return isinstance(mask, Bounded)
