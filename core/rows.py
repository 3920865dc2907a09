"""Which rows a term trains on, and how strongly: source of the response, and gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_range
from core.groups import group_sum
from core.protocols import Gate, RowWeight, needs_of
from core.types import GateWeights, TokenBatch


def solve_rate(step: TokenBatch) -> Float[Tensor, " batch"]:
    """Return the share of its question's rollouts that were solved (reward 1), at every row.

    P(q) = (1/n) Σᵢ 1[rᵢ = 1];  NaN for a question without rollouts.

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 7-8.
    """
    rollout = ~step.is_demonstration
    # Whole counts in float64: their quotient is then the very number that "1/8" or "0.1" denotes.
    solved = group_sum((rollout & (step.reward == 1.0)).double(), step.group)
    return solved / group_sum(rollout.double(), step.group)


@dataclass(frozen=True)
class ThresholdGate:
    """Imitate a question while its solve rate is at most `threshold`, else reinforce it.

    (α, β) = (reinforce, 0) if P(q) > threshold, (0, imitate) if P(q) ≤ threshold

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 9-10. The text of their sec. 4.5
    calls a threshold of 1/8 "at least one correct"; equation and code ask for at least two.

    Args:
        threshold: γ, a share of the question's rollouts. Below 0 nothing is imitated, from 1 on
            everything is.
        reinforce: α of questions above the threshold.
        imitate: β of questions at or below it.
    """

    threshold: float = 0.0
    reinforce: float = 1.0
    imitate: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "threshold")
        check_range(self, "reinforce", 0.0)
        check_range(self, "imitate", 0.0)

    def __call__(self, solve_rate: Float[Tensor, " batch"]) -> GateWeights:
        """Return both weights for each row's question."""
        if solve_rate.isnan().any():
            raise ValueError(
                "a question without rollouts has no solve rate, so a gate can't route it; sample "
                "rollouts for every question, or use rows without a gate"
            )
        # Filled tensors: between two plain numbers torch.where works in float32.
        above = solve_rate > self.threshold
        return GateWeights(
            reinforce=torch.where(above, torch.full_like(solve_rate, self.reinforce), 0.0),
            imitate=torch.where(above, 0.0, torch.full_like(solve_rate, self.imitate)),
        )


def _gated(
    chosen: Bool[Tensor, " batch"], weight: Float[Tensor, " batch"], step: TokenBatch
) -> Float[Tensor, " batch"]:
    return torch.where(chosen, weight.to(step.reward.dtype), 0.0)


@dataclass(frozen=True)
class Rollouts:
    """Responses that the policy sampled, weighted by the gate's α where there is one."""

    gate: Gate | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        weight = torch.ones_like(step.reward) if self.gate is None else self.gate(solve_rate(step)).reinforce
        return _gated(~step.is_demonstration, weight, step)


@dataclass(frozen=True)
class Demonstrations:
    """Responses that a teacher gave, weighted by the gate's β where there is one."""

    gate: Gate | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Demonstrations, and rollouts to measure the solve rate where there is a gate."""
        return frozenset({"demonstrations"} | ({"rollouts"} if self.gate else set()))

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        weight = torch.ones_like(step.reward) if self.gate is None else self.gate(solve_rate(step)).imitate
        return _gated(step.is_demonstration, weight, step)


@dataclass(frozen=True)
class AnyOf:
    """Rows that at least one of several choices takes, each with weight 1."""

    choices: tuple[RowWeight, ...]

    @property
    def needs(self) -> frozenset[str]:
        """What the choices need."""
        return needs_of(*self.choices)

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return 1 for rows that some choice takes, else 0."""
        taken = torch.stack([choice(step) != 0 for choice in self.choices]).any(dim=0)
        return taken.to(step.reward.dtype)
