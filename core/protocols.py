"""The protocol of every kind of part, and what parts declare that they read."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from core.types import Coefficients, GateWeights, PolicyTokens, TermPlan, TokenBatch


@runtime_checkable
class Mask(Protocol):
    """Stabilization mask 1_stable; real-valued, 0 or 1 for a hard clip. Coefficient phase."""

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the weight of each token."""
        ...


@runtime_checkable
class Denominator(Protocol):
    """Denominator π_ref of the estimator (not the anchor of a KL term). Coefficient phase."""

    def __call__(self, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return log π_ref of each token."""
        ...


@runtime_checkable
class Advantage(Protocol):
    """Credit Â of each token. Plan phase: it sees all rows of the step."""

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage of each token."""
        ...


@runtime_checkable
class Likelihood(Protocol):
    """Whose likelihood is differentiated: the token's, or the sequence's. Coefficient phase."""

    def __call__(
        self, log_ratio: Float[Tensor, "batch token"], batch: TokenBatch
    ) -> Float[Tensor, "batch token"]:
        """Return the log-ratio that each token's gradient carries, from those of single tokens."""
        ...


@runtime_checkable
class Gate(Protocol):
    """Decides from a question's solve rate whether to reinforce or to imitate. Plan phase."""

    def __call__(self, solve_rate: Float[Tensor, " batch"]) -> GateWeights:
        """Return both weights for each row's question."""
        ...


@runtime_checkable
class RowWeight(Protocol):
    """Which rows a term trains on, and how strongly. Plan phase."""

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight; 0 leaves the row out of the term and of its normaliser."""
        ...


@runtime_checkable
class Aggregation(Protocol):
    """How a term's tokens are averaged over the whole step. Plan phase."""

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return what each selected row's tokens are multiplied with."""
        ...


@runtime_checkable
class LossTerm(Protocol):
    """One summand of the objective: a policy gradient on some rows, or an additive term."""

    @property
    def needs(self) -> frozenset[str]:
        """Names of what its parts read beyond the rows' masks, groups and rewards."""
        ...

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix what depends on other rows."""
        ...

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return the coefficients of a micro-batch from its rows of the plan."""
        ...


def needs_of(*parts: object) -> frozenset[str]:
    """Return what parts read: the union of their `needs`, where they declare any.

    Known names: rollouts, demonstrations, entropy, behavior_logp, sampler_logp, reference_logp, value.
    """
    return frozenset[str]().union(*(getattr(part, "needs", frozenset()) for part in parts))
