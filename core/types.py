"""What flows through the estimator.

A step has two phases. *Plan*: all rows of all ranks are seen at once, before any micro-batching;
whatever depends on other rows (group statistics, gates, normalisers) is decided here. *Coefficients*:
each micro-batch on its own, from the current policy's log-probs; nothing here may depend on which
rows share the micro-batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PER_ROW = ("group", "is_demonstration", "reward", "greedy_reward")

BOOLEAN = ("response_mask", "is_demonstration", "prefix_mask")

State = Mapping[str, float]
"""What a stateful part remembers from step to step, as JSON can hold it."""


def _is(tensor: Tensor, kind: str) -> bool:
    """Return whether a tensor's numbers are of a kind: in whole numbers a normaliser would round to 0."""
    if kind == "bool" or tensor.dtype == torch.bool:
        return kind == "bool" and tensor.dtype == torch.bool
    return tensor.is_floating_point() == (kind == "floating point")


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Responses of one optimizer step, or whole rows of it; log-probs are in nats.

    Positions outside `response_mask` may hold anything, NaN included: no part reads them.
    """

    response_mask: Bool[Tensor, "batch token"]
    """Tokens that belong to the response, its end-of-sequence token included."""
    group: Int[Tensor, " batch"]
    """Id of the question that the row answers."""
    is_demonstration: Bool[Tensor, " batch"]
    """Given by a teacher (True) or sampled from the behavior policy (False)."""
    reward: Float[Tensor, " batch"]
    """Reward of the whole response; 1 means solved."""
    behavior_logp: Float[Tensor, "batch token"] | None = None
    """Log-probs under the policy that sampled the rollouts, recomputed by the trainer; demonstrations have
    theirs under the same policy, which did not sample them."""
    sampler_logp: Float[Tensor, "batch token"] | None = None
    """Log-probs that the rollout engine itself reported while sampling."""
    reference_logp: Float[Tensor, "batch token"] | None = None
    """Log-probs under the frozen anchor of a KL term."""
    current_logp: Float[Tensor, "batch token"] | None = None
    """Log-probs under the policy as it is when the step is planned, for parts that decide across rows."""
    current_entropy: Float[Tensor, "batch token"] | None = None
    """Entropy of that policy's next-token distribution at each token."""
    value: Float[Tensor, "batch token"] | None = None
    """The critic's value before each token, when the rows were sampled."""
    token_reward: Float[Tensor, "batch token"] | None = None
    """Reward given at each token; without it, the whole `reward` falls on the response's last token."""
    greedy_reward: Float[Tensor, " batch"] | None = None
    """Reward of the policy's greedy response to the row's question."""
    advantage: Float[Tensor, "batch token"] | None = None
    """Credit that was computed elsewhere."""
    prefix_mask: Bool[Tensor, "batch token"] | None = None
    """Tokens of a rollout that were not sampled but given, from the question's demonstration."""
    progress: float = 0.0
    """Share of the run's steps that are done, in [0, 1]."""
    memory: Mapping[str, State] = field(default_factory=dict)
    """What stateful parts remember, by their repr."""

    def __post_init__(self) -> None:
        rows, tokens = self.response_mask.shape
        for name, tensor in self.tensors():
            wanted = (rows,) if name in PER_ROW else (rows, tokens)
            if tensor.shape != wanted:
                raise ValueError(
                    f"TokenBatch.{name} has shape {tuple(tensor.shape)}; beside a response_mask of "
                    f"shape {(rows, tokens)} it must have {wanted}"
                )
            kind = "bool" if name in BOOLEAN else "whole numbers" if name == "group" else "floating point"
            if not _is(tensor, kind):
                raise ValueError(f"TokenBatch.{name} holds {tensor.dtype}; it must be {kind}")

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the name and value of every tensor that is there."""
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Tensor):
                yield each.name, value

    def require(self, name: str, reader: object) -> Float[Tensor, "batch ..."]:
        """Return an optional field, 0 outside the response mask; raise ValueError naming who reads it."""
        tensor: Tensor | None = getattr(self, name)
        if tensor is None:
            raise ValueError(
                f"{type(reader).__name__} reads {name}, which these rows do not carry; name it in "
                f"the part's `needs` so that the trainer provides it, or use a part without it"
            )
        return torch.where(self.response_mask, tensor, 0.0) if tensor.ndim == 2 else tensor

    def rows(self, index: Int[Tensor, " row"]) -> TokenBatch:
        """Return the rows at `index`, in that order."""
        return dataclasses.replace(self, **{name: tensor[index] for name, tensor in self.tensors()})  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class PolicyTokens:
    """What the policy being trained says of each response token, in nats; shapes are the batch's."""

    logp: Float[Tensor, "batch token"]
    entropy: Float[Tensor, "batch token"] | None = None
    """Entropy of the next-token distribution the token was drawn from; only where a part needs it."""
    value: Float[Tensor, "batch token"] | None = None
    """The critic's value before each token; only where a part trains it."""

    def inside(self, mask: Bool[Tensor, "batch token"]) -> PolicyTokens:
        """Return log-probs and entropies without gradient, 0 outside a mask."""
        logp = torch.where(mask, self.logp.detach(), 0.0)
        if self.entropy is None:
            return PolicyTokens(logp)
        return PolicyTokens(logp, torch.where(mask, self.entropy.detach(), 0.0))


class Coefficients(NamedTuple):
    """Constants whose products with log-probs, entropies and values form the loss of a micro-batch."""

    logp: Float[Tensor, "batch token"]
    """c_t times the token's weight: what multiplies ∇ log π_θ(y_t) in the ascent direction."""
    entropy: Float[Tensor, "batch token"] | None = None
    """What multiplies ∇ H_t in the ascent direction."""
    value: Float[Tensor, "batch token"] | None = None
    """What multiplies ∇ V_t in the ascent direction."""
    ratio: Float[Tensor, "batch token"] | None = None
    """π_θ/π_ref, for the log."""
    stable: Float[Tensor, "batch token"] | None = None
    """Weight of the stabilization mask, for the log."""


class TermPlan(NamedTuple):
    """What one term fixed for every token of the step."""

    advantage: Float[Tensor, "batch token"]
    """Credit of each token; 1 for additive terms."""
    weight: Float[Tensor, "batch token"]
    """Row weight × term weight × normaliser; 0 where the term does not train on the token."""
    stable: Float[Tensor, "batch token"] | None = None
    """The part of the stabilization mask that depends on other rows; None: 1 everywhere."""
    target: Float[Tensor, "batch token"] | None = None
    """What a value loss regresses on."""
    tokens: Bool[Tensor, "batch token"] | None = None
    """The tokens that the term trains on; None: the whole response mask."""

    def seen(self, batch: TokenBatch) -> TokenBatch:
        """Return the rows as the term sees them, without the tokens that it does not train on."""
        return batch if self.tokens is None else dataclasses.replace(batch, response_mask=self.tokens)

    def idle(self) -> Bool[Tensor, " batch"]:
        """Return which rows this term leaves without any gradient."""
        nothing = (self.weight == 0) | (self.advantage == 0)
        if self.stable is not None:
            nothing = nothing | (self.stable == 0)
        return nothing.all(dim=1)

    def rows(self, index: Int[Tensor, " row"]) -> TermPlan:
        """Return the plan of the rows at `index`."""
        return TermPlan(*(None if tensor is None else tensor[index] for tensor in self))  # type: ignore[arg-type]


class GateWeights(NamedTuple):
    """How strongly each row's question is reinforced (α) and imitated (β)."""

    reinforce: Float[Tensor, " batch"]
    imitate: Float[Tensor, " batch"]
