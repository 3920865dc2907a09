"""What flows through the estimator.

A step has two phases. *Plan*: all rows of all ranks are seen at once, before any micro-batching;
whatever depends on other rows (group statistics, gates, normalisers) is decided here. *Coefficients*:
each micro-batch on its own, from the current policy's log-probs; nothing here may depend on which
rows share the micro-batch.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PER_ROW = ("group", "is_demonstration", "reward")


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
    value: Float[Tensor, "batch token"] | None = None
    """The critic's value before each token."""

    def __post_init__(self) -> None:
        rows, tokens = self.response_mask.shape
        for field in dataclasses.fields(self):
            tensor = getattr(self, field.name)
            wanted = (rows,) if field.name in PER_ROW else (rows, tokens)
            if tensor is not None and tensor.shape != wanted:
                raise ValueError(
                    f"TokenBatch.{field.name} has shape {tuple(tensor.shape)}; beside a response_mask of "
                    f"shape {(rows, tokens)} it must have {wanted}"
                )

    def require(self, field: str, reader: object) -> Float[Tensor, "batch token"]:
        """Return an optional field, or raise ValueError naming the part that reads it."""
        tensor = getattr(self, field)
        if tensor is None:
            raise ValueError(
                f"{type(reader).__name__} reads {field}, which these rows do not carry; name it in "
                f"the part's `needs` so that the trainer provides it, or use a part without it"
            )
        return torch.where(self.response_mask, tensor, 0.0)

    def rows(self, index: Int[Tensor, " row"]) -> TokenBatch:
        """Return the rows at `index`, in that order."""
        tensors = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return dataclasses.replace(
            self, **{name: tensor[index] for name, tensor in tensors.items() if tensor is not None}
        )


@dataclass(frozen=True, eq=False)
class PolicyTokens:
    """What the policy being trained says of each response token, in nats; shapes are the batch's."""

    logp: Float[Tensor, "batch token"]
    entropy: Float[Tensor, "batch token"] | None = None
    """Entropy of the next-token distribution the token was drawn from; only where a part needs it."""


class Coefficients(NamedTuple):
    """Constants whose products with log-probs and entropies form the loss of a micro-batch."""

    logp: Float[Tensor, "batch token"]
    """c_t times the row's scale: what multiplies ∇ log π_θ(y_t) in the ascent direction."""
    entropy: Float[Tensor, "batch token"] | None = None
    """What multiplies ∇ H_t in the ascent direction."""
    ratio: Float[Tensor, "batch token"] | None = None
    """π_θ/π_ref, for the log."""
    stable: Float[Tensor, "batch token"] | None = None
    """Weight of the stabilization mask, for the log."""


class TermPlan(NamedTuple):
    """What one term fixed for every row of the step."""

    advantage: Float[Tensor, "batch token"]
    scale: Float[Tensor, " batch"]
    """Row weight × term weight × normaliser; 0 where the term does not train on the row."""

    def rows(self, index: Int[Tensor, " row"]) -> TermPlan:
        """Return the plan of the rows at `index`."""
        return TermPlan(self.advantage[index], self.scale[index])

    def idle(self) -> Bool[Tensor, " batch"]:
        """Return which rows this term leaves without any gradient."""
        return (self.scale == 0) | (self.advantage == 0).all(dim=1)


class GateWeights(NamedTuple):
    """How strongly each row's question is reinforced (α) and imitated (β)."""

    reinforce: Float[Tensor, " batch"]
    imitate: Float[Tensor, " batch"]
