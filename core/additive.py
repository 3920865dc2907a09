"""Additive terms: summands of the objective that are no policy gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from core.checks import check_range
from core.protocols import Aggregation, RowWeight, needs_of
from core.types import Coefficients, PolicyTokens, TermPlan, TokenBatch


@dataclass(frozen=True)
class EntropyBonus:
    """Reward for an undecided policy:   weight · mean over tokens of H(π_θ(·|y_<t)).

    The entropy is that of the full next-token distribution, in nats.

    Args:
        weight: Factor of the entropy; 0 switches the term off at no cost.
        rows: Rows whose tokens count.
        aggregation: How their tokens are averaged.
    """

    weight: float
    rows: RowWeight
    aggregation: Aggregation

    def __post_init__(self) -> None:
        check_range(self, "weight")

    @property
    def needs(self) -> frozenset[str]:
        """Entropies, and what the choice of rows needs; nothing while the weight is 0."""
        return needs_of(self.rows) | {"entropy"} if self.weight else frozenset()

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix each row's scale; the "advantage" of entropy is 1 at every response token."""
        ones = step.response_mask.to(step.reward.dtype)
        if not self.weight:
            return TermPlan(ones, torch.zeros_like(step.reward))
        weight = self.rows(step)
        return TermPlan(ones, self.weight * weight * self.aggregation(weight != 0, step))

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return the scale of each token's entropy; none while the weight is 0."""
        if not self.weight:
            return Coefficients(torch.zeros_like(policy.logp))
        scale = plan.scale.to(policy.logp.dtype)[:, None]
        return Coefficients(
            logp=torch.zeros_like(policy.logp),
            entropy=torch.where(batch.response_mask, scale, 0.0),
        )
