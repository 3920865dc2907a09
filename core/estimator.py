"""The unified policy gradient estimator, and algorithms as sums of its terms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.checks import check_range
from core.protocols import (
    Advantage,
    Aggregation,
    Denominator,
    Likelihood,
    LossTerm,
    Mask,
    RowWeight,
    needs_of,
)
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

    @property
    def needs(self) -> frozenset[str]:
        """What the four parts need."""
        return needs_of(self.mask, self.denominator, self.advantage, self.likelihood)

    def coefficients(
        self, advantage: Float[Tensor, "batch token"], policy: PolicyTokens, batch: TokenBatch
    ) -> Coefficients:
        """Return c_t, with the ratio and mask it was made of; 0 outside the response mask."""
        logp = torch.where(batch.response_mask, policy.logp.detach(), 0.0)
        entropy = policy.entropy
        if entropy is not None:
            entropy = torch.where(batch.response_mask, entropy.detach(), 0.0)
        policy = PolicyTokens(logp, entropy)
        advantage = advantage.to(logp.dtype)
        log_ratio = self.likelihood(logp - self.denominator(policy, batch), batch)
        # Select before exp: a padded position may hold anything.
        ratio = torch.where(batch.response_mask, log_ratio, 0.0).exp()
        stable = self.mask(ratio, advantage, policy, batch)
        kept = batch.response_mask & (stable != 0) & (advantage != 0)
        return Coefficients(torch.where(kept, stable * advantage * ratio, 0.0), ratio=ratio, stable=stable)


@dataclass(frozen=True)
class Term:
    """A policy gradient bound to the rows it trains on and to the average it takes.

    Args:
        estimator: The four parts.
        rows: Which rows, how strongly.
        aggregation: How the rows' tokens are averaged over the step.
        weight: Factor of the whole term.
    """

    estimator: PolicyGradient
    rows: RowWeight
    aggregation: Aggregation
    weight: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "weight")

    @property
    def needs(self) -> frozenset[str]:
        """What the estimator and the choice of rows need."""
        return needs_of(self.estimator, self.rows, self.aggregation)

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix each row's advantage and scale."""
        row_weight = self.rows(step)
        factor = self.aggregation(row_weight != 0, step)
        return TermPlan(self.estimator.advantage(step), self.weight * row_weight * factor)

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return scale · c_t."""
        found = self.estimator.coefficients(plan.advantage, policy, batch)
        scale = plan.scale.to(found.logp.dtype)[:, None]
        # A row without scale may hold a ratio that overflowed: 0 · inf would be NaN.
        return found._replace(logp=torch.where(scale == 0, 0.0, scale * found.logp))


@dataclass(frozen=True)
class StepPlan:
    """What every term of an algorithm fixed for all rows of one optimizer step."""

    terms: tuple[LossTerm, ...]
    plans: tuple[TermPlan, ...]

    def idle(self) -> Bool[Tensor, " batch"]:
        """Return which rows get no gradient from any term: they need not be sent through the model."""
        return torch.stack([plan.idle() for plan in self.plans]).all(dim=0)

    def rows(self, index: Int[Tensor, " row"]) -> StepPlan:
        """Return the plan of the step's rows at `index`: that of a micro-batch."""
        return StepPlan(self.terms, tuple(plan.rows(index) for plan in self.plans))

    def coefficients(self, policy: PolicyTokens, batch: TokenBatch) -> tuple[Coefficients, ...]:
        """Return each term's coefficients on the rows that this is the plan of."""
        if policy.logp.shape != batch.response_mask.shape:
            raise ValueError(
                f"PolicyTokens.logp has shape {tuple(policy.logp.shape)}, the batch's response_mask "
                f"{tuple(batch.response_mask.shape)}; they must be equal"
            )
        return tuple(
            term.coefficients(plan, policy, batch) for term, plan in zip(self.terms, self.plans, strict=True)
        )


def surrogate(
    coefficients: tuple[Coefficients, ...], policy: PolicyTokens, batch: TokenBatch
) -> Float[Tensor, ""]:
    """Return the scalar whose gradient is the negated estimator: what a micro-batch backpropagates.

    loss = −Σ_t c_t log π_θ(y_t) − Σ_t e_t H_t,   with c and e constants

    Its value means nothing by itself; only its gradient does. It stays attached to the graph when every
    coefficient is 0, so that ranks with nothing to train on still take part in reductions.
    """
    logp = torch.where(batch.response_mask, policy.logp, 0.0)
    loss = -sum((c.logp.detach() * logp).sum() for c in coefficients)
    for found in coefficients:
        if found.entropy is not None:
            if policy.entropy is None:
                raise ValueError("a term weighs the policy's entropy, but PolicyTokens.entropy is None")
            entropy = torch.where(batch.response_mask, policy.entropy, 0.0)
            loss = loss - (found.entropy.detach() * entropy).sum()
    return loss + 0.0 * logp.sum()


@dataclass(frozen=True)
class Algorithm:
    """A name and the terms whose sum it ascends."""

    name: str
    terms: tuple[LossTerm, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError(f"Algorithm {self.name!r} has no terms, so nothing would be trained")

    @property
    def needs(self) -> frozenset[str]:
        """What the trainer must provide with the rows."""
        return needs_of(*self.terms)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The one stage that this algorithm is."""
        return (Stage(self, 1.0),)

    def plan(self, step: TokenBatch) -> StepPlan:
        """Decide, for all rows of all ranks at once, everything that depends on other rows."""
        return StepPlan(self.terms, tuple(term.plan(step) for term in self.terms))


@dataclass(frozen=True)
class Stage:
    """An algorithm and the share of the run's steps it is given."""

    algorithm: Algorithm
    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"Stage.share={self.share} of {self.algorithm.name} must be in (0, 1]")


@dataclass(frozen=True)
class Curriculum:
    """Algorithms trained one after the other, each with a fresh optimizer (SFT, then GRPO)."""

    name: str
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        total = sum(stage.share for stage in self.stages)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the stages of Curriculum {self.name!r} take {total} of the run, not 1")
