"""The protocol of every kind of part."""

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
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the log-ratio of the likelihood, at each token, from those of single tokens."""
        ...

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return Σ_t weight_t · ∂(log-ratio of the likelihood at t) / ∂ log π_θ(y_u), for each token u."""
        ...


@runtime_checkable
class Gate(Protocol):
    """Decides for each question whether to reinforce or to imitate. Plan phase.

    A plain function of the step will do, as long as it is a module's own, so that it can be pickled.
    """

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return both weights for each row's question."""
        ...


@runtime_checkable
class Schedule(Protocol):
    """A number that changes over the run."""

    def __call__(self, progress: float) -> float:
        """Return its value when a share `progress` of the run's steps is done."""
        ...


@runtime_checkable
class PrefixLength(Protocol):
    """How much of a demonstration a rollout is given."""

    def __call__(self, draw: Float[Tensor, " row"], progress: float) -> Float[Tensor, " row"]:
        """Return the share of its demonstration's tokens for each row, from uniform draws in [0, 1)."""
        ...


@runtime_checkable
class RowWeight(Protocol):
    """Which rows a term trains on, and how strongly. Plan phase."""

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight; 0 leaves the row out of the term and of its normaliser."""
        ...


@runtime_checkable
class TokenChoice(Protocol):
    """Which tokens of its rows a term trains on; the normaliser counts these alone. Plan phase."""

    def __call__(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        """Return the tokens, among those of the response mask."""
        ...


@runtime_checkable
class Aggregation(Protocol):
    """How a term's tokens are averaged over the whole step. Plan phase."""

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return what each selected row's tokens are multiplied with; `step` masks the term's tokens."""
        ...


KINDS: tuple[type, ...] = (
    Mask,
    Denominator,
    Advantage,
    Likelihood,
    Gate,
    Schedule,
    PrefixLength,
    RowWeight,
    TokenChoice,
    Aggregation,
)
"""The kinds of parts that are called: the arguments and the result of the call tell them apart."""


@runtime_checkable
class LossTerm(Protocol):
    """One summand of the objective: a policy gradient on some rows, or an additive term."""

    @property
    def name(self) -> str:
        """What the term is called within its algorithm."""
        ...

    def plan(self, step: TokenBatch) -> TermPlan:
        """Fix what depends on other rows."""
        ...

    def coefficients(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Coefficients:
        """Return the coefficients of a micro-batch from its rows of the plan."""
        ...

    def objective(self, plan: TermPlan, policy: PolicyTokens, batch: TokenBatch) -> Float[Tensor, ""]:
        """Return the micro-batch's share of the number that the term ascends; without gradient."""
        ...
