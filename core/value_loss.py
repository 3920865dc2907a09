"""The critic's loss, as a summand of the objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.aggregations import token_weight
from core.checks import check_fields, check_range, misfit
from core.needs import parts_of
from core.protocols import Advantage, Aggregation, RowWeight, TokenChoice
from core.returns import Returns
from core.tokens import EveryToken
from core.types import Coefficients, PolicyTokens, TermPlan, TokenBatch


@dataclass(frozen=True)
class ValueLoss:
    """Squared error of the critic:   −weight · mean over tokens of ½ max((V − R)², (clip(V) − R)²).

    clip(V) = V_old + min(max(V − V_old, −clip), clip) with V_old as it was when the rows were sampled;
    without a `clip`, ½ (V − R)². R are the returns at that time.

    See Proximal Policy Optimization Algorithms, Schulman et al., 2017 (https://arxiv.org/abs/1707.06347),
    eq. 9, for the term; the clip is that of its authors' code.

    Args:
        returns: Whose returns the critic is trained towards: the advantage that reads its values.
        weight: Factor of the mean; it stands beside the ½.
        rows: Rows whose tokens count.
        aggregation: How their tokens are averaged.
        clip: Farthest that V is let from V_old, in units of reward; None: any way.
        tokens: Which tokens of the rows.
        name: What the term is called within its algorithm.
    """

    returns: Returns
    weight: float
    rows: RowWeight
    aggregation: Aggregation
    clip: float | None = None
    tokens: TokenChoice = EveryToken()
    name: str = "value"

    needs: ClassVar[frozenset[str]] = frozenset({"value"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"value"})
    trains_value: ClassVar[bool] = True
    latex: ClassVar[str] = r"-%(weight)s\cdot\tfrac{1}{2}(V-R)^2"

    def __post_init__(self) -> None:
        # An advantage around another one has the returns of the inner one, or none.
        credits = [part for part in parts_of(self.returns) if not misfit(part, Advantage)]
        for part in (self.returns, *credits):
            if not isinstance(part, Returns):
                raise TypeError(f"ValueLoss.returns={part!r} has no returns; use Gae or RewardToGo")
        check_fields(self)
        check_range(self, "weight", 0.0)
        if self.clip is not None:
            check_range(self, "clip", 0.0)

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix each token's weight and return."""
        ones = step.response_mask.to(step.reward.dtype)
        weight = self.weight * token_weight(self.rows, self.tokens, self.aggregation, step)
        return TermPlan(ones, weight, target=self.returns.returns(step))

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return −weight · ∂(½ max(…))/∂V of each token."""
        error, clipped = self._errors(plan, policy, batch)
        weight = plan.weight.to(error.dtype)
        # Where the clipped error is the larger one, V left the range and only moves it further.
        moved = torch.where((weight != 0) & (clipped.abs() <= error.abs()), -weight * error, 0.0)
        return Coefficients(torch.zeros_like(policy.logp), value=moved)

    def objective(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, ""]:
        """Return −Σ weight · ½ max(…)."""
        error, clipped = self._errors(plan, policy, batch)
        weight = plan.weight.to(error.dtype)
        squared = torch.maximum(error.square(), clipped.square())
        return torch.where(weight != 0, -weight * squared / 2, 0.0).sum()

    def _errors(
        self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch
    ) -> tuple[Float[Tensor, "batch token"], Float[Tensor, "batch token"]]:
        """Return V − R and clip(V) − R."""
        if policy.value is None or plan.target is None:
            raise ValueError(
                "ValueLoss trains the critic's values, but PolicyTokens.value is None; train with a critic, "
                "or drop the term"
            )
        value = torch.where(batch.response_mask, policy.value.detach(), 0.0)
        target = torch.where(batch.response_mask, plan.target, 0.0).to(value.dtype)
        if self.clip is None:
            return value - target, value - target
        old = batch.require("value", self).to(value.dtype)
        # Within the range this is V to the last bit: a rounding error would pass for a larger error.
        near = torch.maximum(torch.minimum(value, old + self.clip), old - self.clip)
        return value - target, near - target
