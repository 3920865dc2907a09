"""The divergence from another policy, as a summand of the objective."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from core.aggregations import token_weight
from core.checks import check_fields, check_range
from core.estimator import plan_masked
from core.masks import KeepAll
from core.needs import parts_of
from core.protocols import Aggregation, Likelihood, Mask, RowWeight, TokenChoice
from core.tokens import EveryToken
from core.types import Coefficients, PolicyTokens, TermPlan, TokenBatch

Estimator = Literal["k1", "k2", "k3", "abs", "k1+", "k3+", "abs+"]


@dataclass(frozen=True)
class KlPenalty:
    """Penalty on the policy's divergence from another one:   −weight · mean over tokens of k_t.

    With L = log π_θ(y_t) − log π(y_t), k_t and its derivative by log π_θ(y_t) are

    k1: L, 1      k2: L²/2, L      k3: e^(−L) + L − 1, 1 − e^(−L)      abs: |L|, sign L
    k1+, k3+, abs+: the value of k1, k3 or abs, the derivative of k2

    Where `ratio` is given, k_t is multiplied by that likelihood's ratio s_t to the behavior policy, and both
    are differentiated: ∇(s_t k_t) = s_t ∇k_t + k_t ∇s_t. With a token's ratio this is an unbiased gradient of
    KL(π_θ ‖ π) from tokens that the behavior policy sampled.

    See Approximating KL Divergence, Schulman, 2020 (http://joschu.net/blog/kl-approx.html), for the
    estimators; DeepSeekMath, Shao et al., 2024 (https://arxiv.org/abs/2402.03300), eq. 4, for the term.

    Args:
        weight: Objective a nat; 0 switches the term off at no cost.
        rows: Rows whose tokens count.
        aggregation: How their tokens are averaged.
        estimator: Which estimator of the divergence.
        to: The other policy: the frozen anchor, or the one that sampled the rows.
        limit: Largest |k_t|; beyond it the derivative is 0 (not that of k1+, k3+ and abs+). None: no limit.
        mask: Factor of each token's penalty; it sees π_θ/π as ratio and 1 as advantage.
        ratio: Whose ratio to the behavior policy weighs the token's penalty; None: 1.
        tokens: Which tokens of the rows.
        name: What the term is called within its algorithm.
    """

    weight: float
    rows: RowWeight
    aggregation: Aggregation
    estimator: Estimator = "k3"
    to: Literal["reference", "behavior"] = "reference"
    limit: float | None = None
    mask: Mask = field(default=KeepAll())
    ratio: Likelihood | None = None
    tokens: TokenChoice = EveryToken()
    name: str = "kl"

    latex: ClassVar[str] = r"-%(weight)s\,\mathrm{KL}_{%(estimator)s}(\pi_\theta\|\pi_{%(to)s})"

    def __post_init__(self) -> None:
        check_range(self, "weight")
        check_fields(self)
        if self.limit is not None:
            check_range(self, "limit", 0.0)
        for part in parts_of(self.mask):
            if getattr(part, "advantage", part) is None:
                raise ValueError(
                    f"KlPenalty.mask={part!r} goes by its term's advantage, and a penalty has none; give the "
                    f"mask one: {type(part).__name__}(…, advantage=GroupRelative())"
                )

    @property
    def needs(self) -> frozenset[str]:
        """Log-probs of the other policy, those of the ratio too; not while the weight is 0."""
        if not self.weight:
            return frozenset()
        weighed = {"behavior_logp"} if self.ratio else set()
        return frozenset({f"{self.to}_logp"} | weighed)

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix each token's weight, and the part of the mask that depends on other rows."""
        ones = step.response_mask.to(step.reward.dtype)
        if not self.weight:
            return TermPlan(ones, torch.zeros_like(ones))
        weight = self.weight * token_weight(self.rows, self.tokens, self.aggregation, step)
        return plan_masked(self.mask, self.tokens, weight, ones, step)

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return −weight · ∂k_t/∂ log π_θ of each token, the ratio's derivative included."""
        if not self.weight:
            return Coefficients(torch.zeros_like(policy.logp))
        batch = plan.seen(batch)
        policy = policy.inside(batch.response_mask)
        distance, weight = self._distance(policy, batch), self._weight(plan, policy, batch)
        value, slope = estimate(self.estimator, distance, self.limit)
        if self.ratio is None:
            return Coefficients(_product(-weight, slope))
        token_ratio = policy.logp - batch.require("behavior_logp", self)
        ratio, ones = _ratio(self.ratio, token_ratio, batch), batch.response_mask.to(weight.dtype)
        moved = self.ratio.pull_back(_product(-weight, ratio * value), token_ratio, ones, batch)
        return Coefficients(_product(-weight, ratio * slope) + moved)

    def objective(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, ""]:
        """Return −Σ weight · k_t."""
        if not self.weight:
            return policy.logp.new_zeros(())
        batch = plan.seen(batch)
        policy = policy.inside(batch.response_mask)
        value, _ = estimate(self.estimator, self._distance(policy, batch), self.limit)
        if self.ratio is not None:
            value = value * _ratio(self.ratio, policy.logp - batch.require("behavior_logp", self), batch)
        return _product(-self._weight(plan, policy, batch), value).sum()

    def _distance(self, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, "batch token"]:
        return policy.logp - batch.require(f"{self.to}_logp", self)

    def _weight(
        self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch
    ) -> Float[Tensor, "batch token"]:
        dtype = policy.logp.dtype
        ratio = self._distance(policy, batch).exp()
        stable = self.mask(ratio, batch.response_mask.to(dtype), policy, batch)
        if plan.stable is not None:
            stable = stable * plan.stable.to(dtype)
        return _product(plan.weight.to(dtype), stable)


class Estimate(NamedTuple):
    """An estimator of the divergence at each token."""

    value: Float[Tensor, "batch token"]
    slope: Float[Tensor, "batch token"]
    """Its derivative by log π_θ."""


def estimate(
    estimator: Estimator, distance: Float[Tensor, "batch token"], limit: float | None = None
) -> Estimate:
    """Return an estimator of the divergence; `KlPenalty` has the table.

    Args:
        estimator: Which one.
        distance: L, in nats.
        limit: Largest |value|; None: no limit.
    """
    value, slope = _unlimited(estimator.removesuffix("+"), distance)
    if limit is not None:
        slope = torch.where(value.abs() <= limit, slope, 0.0)
        value = value.clamp(-limit, limit)
    return Estimate(value, distance if estimator.endswith("+") else slope)


def _unlimited(kind: str, distance: Float[Tensor, "batch token"]) -> Estimate:
    if kind == "k1":
        return Estimate(distance, torch.ones_like(distance))
    if kind == "k2":
        return Estimate(distance.square() / 2, distance)
    if kind == "k3":
        # e^(−L) − 1: exact near L = 0, where the value is L²/2.
        above = torch.expm1(-distance)
        return Estimate(above + distance, -above)
    return Estimate(distance.abs(), distance.sign())


def _ratio(
    likelihood: Likelihood, token_ratio: Float[Tensor, "batch token"], batch: TokenBatch
) -> Float[Tensor, "batch token"]:
    """Return the likelihood's ratio, from the log-ratios of tokens; 1 outside the response mask."""
    log_ratio = likelihood(token_ratio, batch.response_mask.to(token_ratio.dtype), batch)
    return torch.where(batch.response_mask, log_ratio, 0.0).exp()


def _product(
    weight: Float[Tensor, "batch token"], factor: Float[Tensor, "batch token"]
) -> Float[Tensor, "batch token"]:
    """Return the product, 0 where the weight is: there the factor may have overflowed."""
    return torch.where(weight != 0, weight * factor, 0.0)
