"""What the estimator itself says of a step: its coefficients over all rows at once, in float64."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Constant,
    CurrentPolicy,
    Demonstrations,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    PolicyTokens,
    Rollouts,
    SequenceMean,
    StepPlan,
    Term,
    TokenBatch,
    TokenLikelihood,
    TokenMean,
)
from studies.auditing.batch import log_ratios, previous_tokens, response_tokens, row_of_token
from studies.auditing.layout import Layout
from training.responses import Response, token_batch

CLIP_STABILIZER = 1e-6
"""PyTorch's and DeepSpeed's clip factor is limit / (norm + 1e-6)."""


def audited_algorithm(scale: float = 1.0) -> Algorithm:
    """Return a sum of two terms: a clipped policy gradient and imitation, each with its own rows and average.

    Args:
        scale: Factor of the whole gradient.
    """
    reinforce = PolicyGradient(
        ClipMask(0.2, 0.2), BehaviorPolicy(), GroupRelative(normalize_std=False), TokenLikelihood()
    )
    imitate = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(1.0), TokenLikelihood())
    return Algorithm(
        "audited",
        (
            Term("reinforce", reinforce, Rollouts(), TokenMean(), weight=2.0 * scale),
            Term("imitate", imitate, Demonstrations(), SequenceMean(), weight=scale),
        ),
    )


@dataclass(frozen=True, eq=False)
class Truth:
    """One step, and the gradient that core's estimator defines for it.

    Args:
        rows: All of the step.
        table: The bigram's logits as the engine's forward sees them.
        algorithm: The estimator.
        layout: Which row is trained where.
        clip: Largest norm of the gradient; None: any.
    """

    rows: Sequence[Response]
    table: Tensor
    algorithm: Algorithm
    layout: Layout
    clip: float | None

    @cached_property
    def previous(self) -> Tensor:
        """The token before each response token: its row of the table."""
        return previous_tokens(self.rows)

    @cached_property
    def logp(self) -> Tensor:
        """Log-probs of the response tokens, in nats."""
        logits = self.table[self.previous]
        chosen = response_tokens(self.rows)
        return logits.log_softmax(dim=1).gather(1, chosen[:, None]).squeeze(1)

    @cached_property
    def direction(self) -> Tensor:
        """onehot(y_t) − π_t of the response tokens: what a coefficient multiplies."""
        logits = self.table[self.previous]
        onehot = torch.nn.functional.one_hot(response_tokens(self.rows), len(self.table))
        return onehot - logits.softmax(dim=1)

    @cached_property
    def step(self) -> TokenBatch:
        """The rows as the estimator sees them."""
        batch = token_batch(self.rows, torch.device("cpu"))
        behavior = torch.zeros(batch.response_mask.shape, dtype=torch.float64)
        behavior[batch.response_mask] = self.logp - log_ratios(len(self.logp))
        return dataclasses.replace(batch, behavior_logp=behavior)

    @cached_property
    def row(self) -> Tensor:
        """The row of each response token."""
        return row_of_token(self.rows)

    @cached_property
    def coefficient(self) -> Tensor:
        """c_t of each response token before clipping, over the whole step at once."""
        return self.coefficient_of(self.algorithm.plan(self.step))

    def coefficient_of(self, plan: StepPlan) -> Tensor:
        """Return the coefficients under another plan of the same rows."""
        mask = self.step.response_mask
        logp = torch.zeros(mask.shape, dtype=torch.float64)
        logp[mask] = self.logp
        found = plan.coefficients(PolicyTokens(logp), self.step)
        return torch.stack([each.logp for each in found]).sum(dim=0)[mask]

    def norm(self, coefficient: Tensor) -> float:
        """Return the norm of a gradient: no two tokens share a row of the table."""
        return math.sqrt(float((coefficient**2 * (self.direction**2).sum(dim=1)).sum()))

    def factor(self, norm: float) -> float:
        """Return what a gradient of a norm is multiplied with for the clip."""
        return 1.0 if self.clip is None else min(1.0, self.clip / (norm + CLIP_STABILIZER))

    def clipped(self, coefficient: Tensor) -> Tensor:
        """Return coefficients after the clip of their own gradient."""
        return coefficient * self.factor(self.norm(coefficient))

    @cached_property
    def applied(self) -> Tensor:
        """The coefficients that a right engine applies."""
        return self.clipped(self.coefficient)

    def gradient(self, coefficient: Tensor) -> Tensor:
        """Return the gradient of the loss, in the table's shape."""
        gradient = torch.zeros_like(self.table)
        gradient[self.previous] = -coefficient[:, None] * self.direction
        return gradient

    def inside(self, place: tuple[int, int]) -> Tensor:
        """Return which response tokens are in a micro-batch, given by rank and number."""
        return torch.isin(self.row, torch.tensor(self.layout.rows(place), dtype=torch.long))

    @property
    def places(self) -> list[tuple[int, int]]:
        """Rank and number of every micro-batch."""
        return self.layout.places
