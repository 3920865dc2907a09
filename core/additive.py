"""Additive terms: summands of the objective that are no policy gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.aggregations import token_weight
from core.checks import check_fields, check_range
from core.protocols import Aggregation, RowWeight, TokenChoice
from core.tokens import EveryToken
from core.types import Coefficients, PolicyTokens, TermPlan, TokenBatch


@dataclass(frozen=True)
class EntropyBonus:
    """Reward for an undecided policy:   weight · mean over tokens of H(π_θ(·|y_<t)).

    The entropy is that of the full next-token distribution, in nats.

    Args:
        weight: Factor of the entropy; 0 switches the term off at no cost.
        rows: Rows whose tokens count.
        aggregation: How their tokens are averaged.
        tokens: Which tokens of those rows.
        name: What the term is called within its algorithm.
    """

    weight: float
    rows: RowWeight
    aggregation: Aggregation
    tokens: TokenChoice = EveryToken()
    name: str = "entropy"

    latex: ClassVar[str] = r"%(weight)s\,H_t(\pi_\theta)"

    def __post_init__(self) -> None:
        check_range(self, "weight")
        check_fields(self)

    @property
    def needs(self) -> frozenset[str]:
        """Entropies; not while the weight is 0."""
        return frozenset({"entropy"}) if self.weight else frozenset()

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix each token's weight."""
        ones = step.response_mask.to(step.reward.dtype)
        if not self.weight:
            return TermPlan(ones, torch.zeros_like(ones))
        return TermPlan(ones, self.weight * token_weight(self.rows, self.tokens, self.aggregation, step))

    def coefficients(
        self,
        plan: TermPlan,
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Coefficients:
        """Return the weight of each token's entropy; none while the weight is 0."""
        zeros = torch.zeros_like(policy.logp)
        return Coefficients(zeros, entropy=plan.weight.to(zeros.dtype) if self.weight else None)

    def objective(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, ""]:
        """Return Σ weight · H_t."""
        if not self.weight or policy.entropy is None:
            return policy.logp.new_zeros(())
        entropy = torch.where(batch.response_mask, policy.entropy.detach(), 0.0)
        return (plan.weight.to(entropy.dtype) * entropy).sum()
