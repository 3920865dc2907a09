"""What a part may offer beyond its protocol: told by the method's name, none of it required."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from core.types import PolicyTokens, State, TokenBatch


@runtime_checkable
class Bounded(Protocol):
    """A mask that is the derivative f′ of a function of the ratio: min-clip, soft gate. Optional."""

    def bounded(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return f(ratio): what the loss holds in the ratio's place."""
        ...


@runtime_checkable
class Planned(Protocol):
    """A mask that looks across rows (a batch quantile or covariance). Plan phase.

    The response mask of the step it is given holds only the tokens that the mask's term trains on.
    """

    def plan(self, step: TokenBatch, advantage: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        """Return a factor of each token's weight."""
        ...


@runtime_checkable
class Integrable(Protocol):
    """A denominator under which the loss is not sg(ratio) · log π_θ. Optional."""

    def integral(
        self, ratio: Float[Tensor, "batch token"], policy: PolicyTokens, batch: TokenBatch
    ) -> Float[Tensor, "batch token"] | None:
        """Return ∫ π_θ/π_ref d log π_θ: the ratio itself where π_ref does not move with π_θ.

        None where the loss is sg(ratio) · log π_θ after all.
        """
        ...


@runtime_checkable
class Stateful(Protocol):
    """A part that remembers from step to step (hysteresis, a controller). Plan phase.

    Its state after this step stands in `step.memory[repr(self)]` when it is called.
    """

    def advance(self, step: TokenBatch, state: State) -> State:
        """Return the state after this step from the one before; that of the first step is empty."""
        ...
