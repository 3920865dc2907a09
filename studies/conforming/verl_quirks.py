"""Parts for what verl does beyond the estimator's own parts.

Each is small and wraps or resembles one of `core`'s; none of them is for training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.credit import Whitened
from core.groups import group_sum, moments
from core.protocols import RowWeight, TokenChoice
from core.shaped_likelihoods import GeometricLikelihood
from core.types import TokenBatch

LEAK = 1e-8
"""What verl adds to a row's number of tokens before it divides by it."""


def _length(step: TokenBatch) -> Float[Tensor, " batch"]:
    return step.response_mask.sum(dim=1).to(step.reward.dtype)


@dataclass(frozen=True)
class LeakyMean:
    """`SequenceMean` that divides by a little more than the row's tokens:   1 / (rows · (|yᵢ| + 1e-8))."""

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's factor."""
        rows = selected.sum().clamp(min=1)
        return torch.where(selected, 1.0 / (rows * (_length(step) + LEAK)), 0.0)


@dataclass(frozen=True)
class LeakyWhitened:
    """What verl's whitening makes of an advantage: its mean over n tokens is a sum over n + 1e-8.

    Every token is left with a share 1e-8/n of the mean, and the standard deviation lacks half as much; both
    to first order.
    """

    advantage: Whitened

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the whitened advantage at response tokens."""
        inside = step.response_mask
        mean, variance = moments(self.advantage.advantage(step), inside)
        leak = LEAK / inside.sum().to(mean.dtype)
        left = leak * mean / (variance + self.advantage.epsilon).sqrt()
        return torch.where(inside, (self.advantage(step) + left) * (1.0 + leak / 2), 0.0)


@dataclass(frozen=True)
class LeakyRowMean:
    """The mean of a row's given advantages, at each of its tokens:   Σ_t Â_t / (|yᵢ| + 1e-8)."""

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's mean at its tokens."""
        mean = step.require("advantage", self).sum(dim=1) / (_length(step) + LEAK)
        return torch.where(step.response_mask, mean[:, None], 0.0)


@dataclass(frozen=True)
class LeakyGeometric:
    """A `GeometricLikelihood` cut by each token's own advantage, over a little more than the row's tokens.

    A token whose advantage is 0 adds nothing to the row's mean.
    """

    likelihood: GeometricLikelihood

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean of the cut log-ratios at each of its tokens."""
        credit = batch.require("advantage", self)
        moved = torch.where(credit != 0, log_ratio, 0.0)
        return self.likelihood(moved, credit, batch) * self._shrink(batch)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean weight at each of its tokens that was not cut."""
        credit = batch.require("advantage", self)
        pulled = self.likelihood.pull_back(weight, log_ratio, credit, batch) * self._shrink(batch)
        return torch.where(credit != 0, pulled, 0.0)

    def _shrink(self, batch: TokenBatch) -> Float[Tensor, "batch 1"]:
        length = _length(batch)
        return (length / (length + LEAK))[:, None]


@dataclass(frozen=True)
class RowsWith:
    """Those of `rows` with at least one of the chosen tokens."""

    rows: RowWeight
    tokens: TokenChoice

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight."""
        return torch.where((step.response_mask & self.tokens(step)).any(dim=1), self.rows(step), 0.0)


@dataclass(frozen=True)
class GivenReturns:
    """Returns that were computed elsewhere, read from the step's `advantage`."""

    def returns(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the given returns at response tokens."""
        return step.require("advantage", self)


@dataclass(frozen=True)
class SingleGroup:
    """`GroupRelative` with the moments in single precision, subtracted from rewards in double.

    What is left of a reward that float32 can't hold is divided by the standard deviation, too.
    """

    normalize_std: bool = True
    epsilon: float = 1e-6

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's group-relative reward at its tokens."""
        reward = step.reward.float()
        size = group_sum(torch.ones_like(reward), step.group)
        mean = group_sum(reward, step.group) / size
        std = (group_sum((reward - mean).square(), step.group) / (size - 1).clamp(min=1)).sqrt()
        credit = step.reward - torch.where(size > 1, mean, 0.0)
        if self.normalize_std:
            credit = credit / (torch.where(size > 1, std, 1.0) + self.epsilon)
        return torch.where(step.response_mask, credit[:, None], 0.0)


@dataclass(frozen=True)
class BestOfGroup:
    """Credit for the best response alone: its reward less the second best's, over the group's std.

    See Optimizing Language Models for Inference Time Objectives using Reinforcement Learning, Tang et al.,
    2025 (https://arxiv.org/abs/2503.19595), as verl has it.
    """

    normalize_std: bool = True
    epsilon: float = 1e-6

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's credit at its tokens."""
        credit = torch.zeros_like(step.reward)
        for group in torch.unique(step.group):
            members = (step.group == group).nonzero().squeeze(1)
            ordered = step.reward[members].sort(descending=True)
            gap = ordered.values[:1] - ordered.values[1:2]
            if self.normalize_std:
                gap = gap / (step.reward[members].std() + self.epsilon)
            credit = credit.index_copy(0, members[ordered.indices[:1]], gap)
        return torch.where(step.response_mask, credit[:, None], 0.0)
