"""Algorithms: sums of terms, planned over a whole step and applied micro-batch by micro-batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.checks import check_fields, check_range
from core.hooks import Stateful
from core.needs import needs_of, parts_of
from core.pairs import check_terms
from core.protocols import LossTerm
from core.rollouts import RolloutPlan
from core.types import Coefficients, PolicyTokens, State, TermPlan, TokenBatch


@dataclass(frozen=True)
class StepPlan:
    """What every term of an algorithm fixed for all rows of one optimizer step."""

    terms: tuple[LossTerm, ...]
    plans: tuple[TermPlan, ...]
    memory: Mapping[str, State] = field(default_factory=dict)
    """What stateful parts remember after this step: the next step's `TokenBatch.memory`."""

    def idle(self) -> Bool[Tensor, " batch"]:
        """Return which rows get no gradient from any term: they need not be sent through the model."""
        quiet = [plan.idle() for plan in self.plans]
        return torch.stack(quiet).all(dim=0)

    def rows(self, index: Int[Tensor, " row"]) -> StepPlan:
        """Return the plan of the step's rows at `index`: that of a micro-batch."""
        return dataclasses.replace(self, plans=tuple(plan.rows(index) for plan in self.plans))

    def coefficients(self, policy: PolicyTokens, batch: TokenBatch) -> tuple[Coefficients, ...]:
        """Return each term's coefficients on the rows that this is the plan of."""
        _check_shapes(policy, batch)
        return tuple(
            term.coefficients(plan, policy, batch) for term, plan in zip(self.terms, self.plans, strict=True)
        )

    def losses(self, policy: PolicyTokens, batch: TokenBatch) -> dict[str, Float[Tensor, ""]]:
        """Return what these rows add to each term's loss, the number other libraries report; no gradient."""
        _check_shapes(policy, batch)
        return {
            term.name: -term.objective(plan, policy, batch)
            for term, plan in zip(self.terms, self.plans, strict=True)
        }


def _check_shapes(policy: PolicyTokens, batch: TokenBatch) -> None:
    if policy.logp.shape != batch.response_mask.shape:
        raise ValueError(
            f"PolicyTokens.logp has shape {tuple(policy.logp.shape)}, the batch's response_mask "
            f"{tuple(batch.response_mask.shape)}; they must be equal"
        )


def surrogate(
    coefficients: tuple[Coefficients, ...], policy: PolicyTokens, batch: TokenBatch
) -> Float[Tensor, ""]:
    """Return the scalar whose gradient is the negated estimator: what a micro-batch backpropagates.

    loss = −Σ_t c_t log π_θ(y_t) − Σ_t e_t H_t − Σ_t v_t V_t,   with c, e and v constants

    Its value means nothing by itself; only its gradient does (`StepPlan.losses` is the number to report). It
    stays attached to the graph when every coefficient is 0, so that ranks with nothing to train on still take
    part in reductions.
    """
    loss = policy.logp.new_zeros(())
    for name in ("logp", "entropy", "value"):
        constants = [getattr(found, name) for found in coefficients]
        factors = [constant.detach() for constant in constants if constant is not None]
        spoken = getattr(policy, name)
        if factors and spoken is None:
            raise ValueError(f"a term weighs the policy's {name}, but PolicyTokens.{name} is None")
        if spoken is not None and (factors or spoken.requires_grad):
            inside = torch.where(batch.response_mask, spoken, 0.0)
            whole = reduce(torch.add, factors) if factors else torch.zeros_like(inside)
            loss = loss - (whole * inside).sum()
    return loss


@dataclass(frozen=True)
class SideStep:
    """Steps of another algorithm, taken whenever enough questions have failed in the main one's.

    Questions with a solve rate of at most `threshold` are remembered; once there are `questions` of them, the
    next step is one of `algorithm` on these, and they are forgotten.

    See Learning What Reinforcement Learning Can't, Ma et al., 2025
    (https://arxiv.org/abs/2506.07527), alg. 1.
    """

    algorithm: Algorithm
    threshold: float = 0.0
    questions: int = 128

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "threshold", 0.0, 1.0)
        check_range(self, "questions", 1)


@dataclass(frozen=True)
class Algorithm:
    """A name and the terms whose sum it ascends.

    Args:
        name: As registered.
        terms: Summands, each with a name of its own.
        rollouts: What it asks of the rollouts beyond plain samples.
        aside: Steps of another algorithm in between.
    """

    name: str
    terms: tuple[LossTerm, ...]
    rollouts: RolloutPlan = RolloutPlan()
    aside: SideStep | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_terms(self.name, self.terms)

    @property
    def needs(self) -> frozenset[str]:
        """What the trainer must provide with the rows."""
        return needs_of(self.terms, self.rollouts)

    @property
    def plan_needs(self) -> frozenset[str]:
        """The share of `needs` that must be there when a step is planned."""
        return needs_of(self.terms, phase="plan_needs")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The one stage that this algorithm is."""
        return (Stage(self, 1.0),)

    @cached_property
    def _stateful(self) -> Mapping[str, Stateful]:
        # A gate stands in several terms and advances once. Kept, since to ask each part takes as long as to
        # plan a term.
        return {repr(part): part for part in parts_of(self.terms) if isinstance(part, Stateful)}

    def plan(self, step: TokenBatch) -> StepPlan:
        """Decide, for all rows of all ranks at once, everything that depends on other rows."""
        memory = {
            name: part.advance(step, step.memory.get(name, {})) for name, part in self._stateful.items()
        }
        if memory:
            step = dataclasses.replace(step, memory=memory)
        return StepPlan(self.terms, tuple(term.plan(step) for term in self.terms), memory)


@dataclass(frozen=True)
class Stage:
    """An algorithm and the share of the run's steps it is given."""

    algorithm: Algorithm
    share: float

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"Stage.share={self.share} of {self.algorithm.name} must be in (0, 1]")


@dataclass(frozen=True)
class Curriculum:
    """Algorithms trained one after the other, each with a fresh optimizer (SFT, then GRPO)."""

    name: str
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        check_fields(self)
        total = sum(stage.share for stage in self.stages)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the stages of Curriculum {self.name!r} take {total} of the run, not 1")
