"""The unified policy gradient estimator, and its binding to the rows it trains on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.aggregations import token_weight
from core.checks import check_fields, check_range
from core.hooks import Bounded, Integrable, Planned
from core.pairs import check_estimator, check_term
from core.protocols import (
    Advantage,
    Aggregation,
    Denominator,
    Likelihood,
    Mask,
    RowWeight,
    TokenChoice,
)
from core.tokens import EveryToken
from core.types import Coefficients, PolicyTokens, TermPlan, TokenBatch


@dataclass(frozen=True)
class PolicyGradient:
    """The four parts of one estimator.

    c_t = 1_stable,t · (π_θ/π_ref)_t · Â_t

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 6.
    """

    mask: Mask
    denominator: Denominator
    advantage: Advantage
    likelihood: Likelihood

    def __post_init__(self) -> None:
        check_fields(self)
        check_estimator(self.advantage, self.likelihood)

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return weight · c_t, with the ratio and mask it was made of; 0 outside the response mask."""
        batch = plan.seen(batch)
        inside = batch.response_mask
        policy = policy.inside(inside)
        advantage, credit = _credit(plan, policy.logp.dtype)
        token_ratio = policy.logp - self.denominator(policy, batch)
        ratio = self._ratio(token_ratio, advantage, batch)
        stable = self.mask(ratio, advantage, policy, batch)
        if plan.stable is not None:
            stable = stable * plan.stable.to(stable.dtype)
        # Select before multiplying: a row without weight may hold a ratio that overflowed.
        kept = inside & (stable != 0) & (credit != 0)
        weight = torch.where(kept, stable * credit * ratio, 0.0)
        logp = self.likelihood.pull_back(weight, token_ratio, advantage, batch)
        return Coefficients(logp, ratio=ratio, stable=stable)

    def objective(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, ""]:
        """Return Σ weight · Â_t · F_t, where c_t = Â_t · ∂F_t/∂ log π_θ: what other libraries call −loss.

        F = f(ratio) where π_ref stands still, f being the ratio, its min-clip or what else the mask is the
        derivative of; F = sg(1_stable · ratio) · log π_θ where π_ref moves with the policy.
        """
        batch = plan.seen(batch)
        inside = batch.response_mask
        policy = policy.inside(inside)
        advantage, credit = _credit(plan, policy.logp.dtype)
        token_ratio = policy.logp - self.denominator(policy, batch)
        ratio = self._ratio(token_ratio, advantage, batch)
        integral = None
        if isinstance(self.denominator, Integrable):
            integral = self.denominator.integral(ratio, policy, batch)
        if integral is None:
            found = self.coefficients(plan, policy, batch).logp
            return torch.where(found != 0, found * policy.logp, 0.0).sum()
        stable = self.mask(ratio, advantage, policy, batch)
        # Select before multiplying, here too: a token without weight may have a ratio that overflowed.
        if isinstance(self.mask, Bounded):
            held = self.mask.bounded(ratio, advantage, policy, batch)
        else:
            held = torch.where(stable != 0, stable * ratio, 0.0)
        if integral is not ratio:
            held = held + torch.where(stable != 0, stable * (integral - ratio), 0.0)
        if plan.stable is not None:
            planned = plan.stable.to(held.dtype)
            held = torch.where(planned != 0, planned * held, 0.0)
        return torch.where(inside & (credit != 0), credit * held, 0.0).sum()

    def _ratio(
        self,
        token_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        log_ratio = self.likelihood(token_ratio, advantage, batch)
        # Select before exp: a padded position may hold anything.
        return torch.where(batch.response_mask, log_ratio, 0.0).exp()


def _credit(
    plan: TermPlan, dtype: torch.dtype
) -> tuple[Float[Tensor, "batch token"], Float[Tensor, "batch token"]]:
    """Return the advantage, and its product with the token's weight."""
    # Where there is no weight the advantage may not be a number: a reward that nothing asked for.
    credit = torch.where(plan.weight != 0, plan.advantage * plan.weight, 0.0)
    return plan.advantage.to(dtype), credit.to(dtype)


def plan_masked(
    mask: Mask,
    tokens: TokenChoice,
    weight: Float[Tensor, "batch token"],
    advantage: Float[Tensor, "batch token"],
    step: TokenBatch,
) -> TermPlan:
    """Return a term's plan: with the tokens it trains on, and what its mask decides across rows."""
    chosen = None if isinstance(tokens, EveryToken) else step.response_mask & tokens(step)
    if not isinstance(mask, Planned):
        return TermPlan(advantage, weight, tokens=chosen)
    # A share of the tokens is one of those the term trains on: other terms' rows don't enter it.
    trained = dataclasses.replace(step, response_mask=step.response_mask & (weight != 0))
    return TermPlan(advantage, weight, mask.plan(trained, advantage), tokens=chosen)


@dataclass(frozen=True)
class Term:
    """A policy gradient bound to the rows it trains on and to the average it takes.

    Args:
        name: What the term is called within its algorithm: `--set hpt.reinforce.mask=…`.
        estimator: The four parts.
        rows: Which rows, how strongly.
        aggregation: How the rows' tokens are averaged over the step.
        weight: Factor of the whole term.
        tokens: Which tokens of those rows; the normaliser, ratios of a whole row and the gradient see no
            others. Advantages are those of whole responses.
    """

    name: str
    estimator: PolicyGradient
    rows: RowWeight
    aggregation: Aggregation
    weight: float = 1.0
    tokens: TokenChoice = EveryToken()

    def __post_init__(self) -> None:
        check_range(self, "weight")
        check_fields(self)
        check_term(self.name, self.estimator, self.rows)

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix each token's advantage and weight."""
        weight = self.weight * token_weight(self.rows, self.tokens, self.aggregation, step)
        advantage = self.estimator.advantage(step)
        return plan_masked(self.estimator.mask, self.tokens, weight, advantage, step)

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return weight · c_t."""
        return self.estimator.coefficients(plan, policy, batch)

    def objective(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, ""]:
        """Return the micro-batch's share of the term's objective."""
        return self.estimator.objective(plan, policy, batch)
