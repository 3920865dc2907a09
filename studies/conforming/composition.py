"""What reproduces a golden case, and how its numbers come out of the estimator's own path.

The numbers are never computed beside the estimator: advantages are an `Advantage` part's, losses are
`StepPlan.losses`, gradients are those of `surrogate` over `StepPlan.coefficients`, taken by autograd on the
log-probs, entropies and values.

A mapping builds rows with `rows_of(case)`, chooses parts, and returns a `Composition`. Its policy-gradient
terms take `Precomputed()` as their advantage, or `GivenPerRow()` beside a likelihood of whole rows:
`reproduce` computes `Composition.advantage` once over all rows (group statistics reach beyond a micro-batch).
Where the case gives the advantages that its loss used, these stand in `TokenBatch.advantage`, and a rounding
error of ours is not multiplied with their ratios; where it does not, ours are put there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core import Algorithm, PolicyTokens, TokenBatch, surrogate
from core.protocols import Advantage
from studies.conforming.cases import Case


@dataclass(frozen=True)
class GivenPerRow:
    """`Precomputed` of advantages that are the same at all tokens of a row, for whole-row likelihoods."""

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the given advantage at response tokens."""
        return step.require("advantage", self)


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows that are planned as one optimizer step, by an algorithm of their own.

    A peer that normalises over the whole step is one piece; one that normalises each micro-batch by itself
    is a piece for each micro-batch, with the accumulation's divisor in the terms' weights.
    """

    algorithm: Algorithm
    rows: tuple[int, ...] | None = None
    """Which rows of the composition's step; None: all."""
    response_mask: Tensor | None = None
    """Tokens of the step that this piece takes for the responses; None: the step's own."""


@dataclass(frozen=True, eq=False)
class Reproduced:
    """What a composition makes of a case; gradients are of the loss, not of the objective."""

    advantages: Tensor | None
    """[rows, tokens]; None where the case gave them."""
    losses: tuple[Mapping[str, Tensor], ...]
    """Each piece's loss by the name of its term; their sum is the loss."""
    grad_logp: Tensor
    grad_entropy: Tensor | None
    grad_value: Tensor | None

    @property
    def loss(self) -> Tensor:
        """The sum of all terms of all pieces."""
        return torch.stack([loss for piece in self.losses for loss in piece.values()]).sum()


@dataclass(frozen=True, eq=False)
class Composition:
    """What reproduces a case."""

    step: TokenBatch
    """All rows; `step.advantage` is what the loss is computed with, if the case gives it."""
    policy: PolicyTokens
    """What the gradient is taken by; entropy and value only where a term weighs them."""
    pieces: tuple[Piece, ...]
    """What is planned as a step of its own, in order."""
    advantage: Advantage | None = None
    """The advantage estimator; None: the case gives the advantages."""
    observe: Callable[[Reproduced], Mapping[str, Tensor]] | None = None
    """Further numbers to compare, by their name in the case's `expected` (returns, say); they win over those
    that `reproduced_values` names."""


def rows_of(case: Case) -> tuple[TokenBatch, PolicyTokens]:
    """Return a case's rows and the policy, from the inputs that all peers name alike.

    Read are logprobs, old_logprobs (missing: the policy's own, without gradient), ref_logprobs,
    sampling_logprobs, mask, rewards (missing: 0), group (missing: each row its own), is_demo (missing: none),
    entropies or entropy, values, token_rewards, and advantages, spread over the row's tokens where they are
    one a row.
    """
    given = case.inputs
    mask = given["mask"].bool()
    logp = given.get("logprobs", torch.zeros_like(given["mask"]))
    rows = torch.arange(len(mask))
    entropy = given.get("entropies", given.get("entropy"))
    advantage = given.get("advantages")
    if advantage is not None and advantage.ndim == 1:
        advantage = advantage[:, None].expand_as(logp)
    step = TokenBatch(
        response_mask=mask,
        group=given.get("group", rows).long(),
        is_demonstration=given.get("is_demo", torch.zeros_like(rows)).bool(),
        reward=given.get("rewards", torch.zeros(len(mask), dtype=torch.float64)),
        behavior_logp=given.get("old_logprobs", logp),
        sampler_logp=given.get("sampling_logprobs"),
        reference_logp=given.get("ref_logprobs"),
        current_logp=logp,
        current_entropy=entropy,
        value=given.get("values"),
        token_reward=given.get("token_rewards"),
        advantage=advantage,
    )
    return step, PolicyTokens(logp, entropy, given.get("vpreds"))


def reproduce(composition: Composition) -> Reproduced:
    """Return the composition's advantages, losses and gradients."""
    step, estimator = composition.step, composition.advantage
    advantages = None if estimator is None else estimator(step)
    if step.advantage is None and advantages is not None:
        step = dataclasses.replace(step, advantage=advantages)
    leaves = {
        name: tensor.clone().requires_grad_()
        for name in ("logp", "entropy", "value")
        if (tensor := getattr(composition.policy, name)) is not None
    }
    losses = []
    for piece in composition.pieces:
        rows = torch.arange(len(step.group)) if piece.rows is None else torch.tensor(piece.rows).long()
        whole = step
        if piece.response_mask is not None:
            whole = dataclasses.replace(step, response_mask=piece.response_mask)
        batch = whole.rows(rows)
        policy = PolicyTokens(**{name: leaf[rows] for name, leaf in leaves.items()})
        plan = piece.algorithm.plan(batch)
        losses.append(plan.losses(policy, batch))
        surrogate(plan.coefficients(policy, batch), policy, batch).backward()  # type: ignore[no-untyped-call]
    grads = {name: leaf.grad for name, leaf in leaves.items()}
    grad_logp = grads["logp"]
    assert grad_logp is not None
    return Reproduced(advantages, tuple(losses), grad_logp, grads.get("entropy"), grads.get("value"))


def reproduced_values(composition: Composition, found: Reproduced) -> dict[str, Tensor]:
    """Return all that can be compared, by its name in a case's `expected`."""
    values = {
        "advantages": found.advantages,
        "loss": found.loss,
        "grad_logprobs": found.grad_logp,
        "grad_entropy": found.grad_entropy,
        "grad_vpreds": found.grad_value,
    }
    if composition.observe is not None:
        values.update(composition.observe(found))
    return {name: value for name, value in values.items() if value is not None}
