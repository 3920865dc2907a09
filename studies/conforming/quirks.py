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
