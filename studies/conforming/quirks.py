"""Advantages of TRL and verl beyond the estimator's own parts.

Each is small and wraps or resembles one of `core`'s; none of them is for training.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.groups import group_sum
from core.protocols import Advantage
from core.types import TokenBatch


@dataclass(frozen=True)
class ScoredOnly:
    """The wrapped advantage among rows that have a reward; 0 for the others, and for a row alone with one.

    TRL: a reward of NaN means that no function could score the completion.

    Args:
        advantage: What is computed; it sees the rows that take no part as demonstrations.
        alone_counts: Whether a row alone with a reward in its group counts in the moments of the whole step.
    """

    advantage: Advantage
    alone_counts: bool = True

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        scored = ~step.reward.isnan() & ~step.is_demonstration
        compared = scored & (group_sum(scored.to(step.reward.dtype), step.group) > 1)
        counted = scored if self.alone_counts else compared
        rewards = torch.where(scored, step.reward, 0.0)
        credit = self.advantage(dataclasses.replace(step, reward=rewards, is_demonstration=~counted))
        return torch.where(compared[:, None], credit, 0.0)


@dataclass(frozen=True)
class EveryRow:
    """The wrapped advantage with rows without tokens counted in its moments: TRL takes those by row."""

    advantage: Advantage

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        first = torch.arange(step.response_mask.shape[1]) == 0
        somewhere = step.response_mask | (first & ~step.response_mask.any(dim=1, keepdim=True))
        credit = self.advantage(dataclasses.replace(step, response_mask=somewhere))
        return torch.where(step.response_mask, credit, 0.0)


@dataclass(frozen=True)
class WeightedSum:
    """Weighted sum of advantages, one of each of several reward functions.

    Args:
        advantage: What is computed from each function's rewards.
        rewards: Rewards of all rows, function by function; NaN where it did not score the row.
        weights: Factor of each function.
    """

    advantage: Advantage
    rewards: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the sum at response tokens."""
        total = torch.zeros_like(step.response_mask, dtype=step.reward.dtype)
        for rewards, weight in zip(self.rewards, self.weights, strict=True):
            total = total + weight * self.advantage(
                dataclasses.replace(step, reward=step.reward.new_tensor(rewards), token_reward=None)
            )
        return total


@dataclass(frozen=True)
class StandardizedSum:
    """Each function's rewards standardised within their group, summed, and their sum standardised again.

    zᵢₖ = (rᵢₖ − mean)/(std + epsilon)   over the group's rows that function k scored
    Âᵢ = (sᵢ − mean)/(std + epsilon)   over all rows with a score, where sᵢ = Σₖ weightₖ · zᵢₖ
    A score with no other to compare with has no z; a row without scores has Â = 0. Rows without tokens count.

    Means are plain sums over counts, not `core`'s: equal rewards may differ from theirs by a last digit, as
    TRL's do, and two divisions by a standard deviation of about 0 make that visible.

    Args:
        rewards: Rewards of all functions, row by row; NaN where a function did not score the row.
        weights: Factor of each function.
        epsilon: Added to both standard deviations.
    """

    rewards: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    epsilon: float

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        rewards = step.reward.new_tensor(self.rewards)
        total = torch.zeros_like(step.reward)
        for group in torch.unique(step.group):
            inside = (step.group == group).nonzero().squeeze(1)
            weighed = self._standardized(rewards[inside]) * rewards.new_tensor(self.weights)
            total = total.index_add(0, inside, weighed.nansum(dim=1))
        credit = self._standardized(torch.where(rewards.isnan().all(dim=1), torch.nan, total))
        return torch.where(step.response_mask, credit.nan_to_num(nan=0.0)[:, None], 0.0)

    def _standardized(self, values: Float[Tensor, "row ..."]) -> Float[Tensor, "row ..."]:
        """Return the distance from the mean over the rows in standard deviations; NaN without two numbers."""
        excess = values - values.nanmean(dim=0)
        others = (~values.isnan()).sum(dim=0) - 1
        variance = (excess**2).nansum(dim=0) / others
        return excess / (variance.sqrt() + self.epsilon)
