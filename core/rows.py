"""Which rows a term trains on, and how strongly: by the response's source, outcome and uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.groups import group_moments
from core.protocols import Gate, RowWeight
from core.types import TokenBatch


def _gated(
    chosen: Bool[Tensor, " batch"], weight: Float[Tensor, " batch"], step: TokenBatch
) -> Float[Tensor, " batch"]:
    return torch.where(chosen, weight.to(step.reward.dtype), 0.0)


@dataclass(frozen=True)
class Rollouts:
    """Responses that the policy sampled, weighted by the gate's α where there is one."""

    gate: Gate | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    takes_demonstrations: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def latex(self) -> str:
        """The formula, with a gate's α before it."""
        return r"y\sim\pi_{\mathrm{old}}" if self.gate is None else r"\alpha\,[y\sim\pi_{\mathrm{old}}]"

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        weight = torch.ones_like(step.reward) if self.gate is None else self.gate(step).reinforce
        return _gated(~step.is_demonstration, weight, step)


@dataclass(frozen=True)
class Demonstrations:
    """Responses that a teacher gave, weighted by the gate's β where there is one."""

    gate: Gate | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    takes_demonstrations: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def latex(self) -> str:
        """The formula, with a gate's β before it."""
        return r"y\sim\mathcal{D}" if self.gate is None else r"\beta\,[y\sim\mathcal{D}]"

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        weight = torch.ones_like(step.reward) if self.gate is None else self.gate(step).imitate
        return _gated(step.is_demonstration, weight, step)


@dataclass(frozen=True)
class AnyOf:
    """Rows that at least one of several choices takes, each with weight 1."""

    choices: tuple[RowWeight, ...]

    latex: ClassVar[str] = r"%(choices)s"

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.choices:
            raise ValueError("AnyOf.choices=() takes no rows, so that nothing is trained; give at least one")

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return 1 for rows that some choice takes, else 0."""
        taken = torch.stack([choice(step) != 0 for choice in self.choices]).any(dim=0)
        return taken.to(step.reward.dtype)


@dataclass(frozen=True)
class Solved:
    """Those of `rows` whose reward is 1."""

    rows: RowWeight

    latex: ClassVar[str] = r"%(rows)s,\ r_i=1"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        return torch.where(step.reward == 1.0, self.rows(step), 0.0)


@dataclass(frozen=True)
class Failed:
    """Those of `rows` whose reward is not 1."""

    rows: RowWeight

    latex: ClassVar[str] = r"%(rows)s,\ r_i\ne 1"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        return torch.where(step.reward == 1.0, 0.0, self.rows(step))


@dataclass(frozen=True)
class NonEmpty:
    """Those of `rows` with at least one token: the others then count in no mean over rows."""

    rows: RowWeight

    latex: ClassVar[str] = r"%(rows)s,\ |y_i|>0"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        return torch.where(step.response_mask.any(dim=1), self.rows(step), 0.0)


@dataclass(frozen=True)
class Mixed:
    """Those of `rows` whose question has rollouts of different rewards.

    Groups all right or all wrong have no group-relative advantage; left out, they don't dilute the mean
    either.

    See DAPO, Yu et al., 2025 (https://arxiv.org/abs/2503.14476), sec. 3.2.
    """

    rows: RowWeight

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = r"%(rows)s,\ \sigma_{\mathrm{on}}>0"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        moments = group_moments(step.reward, ~step.is_demonstration, step.group)
        return torch.where(moments.std > 0, self.rows(step), 0.0)


@dataclass(frozen=True)
class EntropyWeighted:
    """The weight of `rows`, times an exponential of the row's mean token entropy H.

    wᵢ = scale · exp(sign · Hᵢ),   H under the policy as the step is planned, in nats, without gradient

    See SRFT: A Single-Stage Method with Supervised and Reinforcement Fine-Tuning for Reasoning, Fu et al.,
    2025 (https://arxiv.org/abs/2506.19767): 0.5 · exp(−H) on demonstrations, 0.1 · exp(+H) on solved
    rollouts.

    Args:
        rows: Which rows.
        scale: Weight of a row that the policy is sure of.
        sign: −1 weighs rows less where the policy is undecided, +1 more.
    """

    rows: RowWeight
    scale: float = 1.0
    sign: float = -1.0

    needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})
    latex: ClassVar[str] = r"%(scale)s\,e^{%(sign)sH_i}\,[%(rows)s]"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "scale", 0.0)
        check_range(self, "sign", -1.0, 1.0)

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        entropy = step.require("current_entropy", self).to(step.reward.dtype).sum(dim=1)
        mean = entropy / step.response_mask.sum(dim=1).clamp(min=1)
        return self.rows(step) * self.scale * (self.sign * mean).exp()
