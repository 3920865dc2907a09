"""Advantages around an advantage: whitened or rescaled by statistics of the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.groups import group_moments, moments
from core.pairs import declares
from core.protocols import Advantage
from core.returns import last_token
from core.types import TokenBatch


@dataclass(frozen=True)
class Whitened:
    """The wrapped advantage with mean 0 and variance 1 over the step:   (A − mean) / √(var + epsilon).

    The variance divides by n − 1; a single value becomes 0.

    See REINFORCE++, Hu et al., 2025 (https://arxiv.org/abs/2501.03262), which does so to all its advantages.

    Args:
        advantage: What is whitened.
        over: What the moments are taken over: all response tokens, or the rows with one value each (of an
            advantage that is the same at all tokens of a row).
        epsilon: Added to the variance, or to the standard deviation.
        rows: Whose values the moments are taken over; all rows are whitened by them.
        epsilon_on: What `epsilon` is added to.
    """

    advantage: Advantage
    over: Literal["tokens", "rows"] = "tokens"
    epsilon: float = 1e-8
    rows: Literal["rollouts", "all"] = "rollouts"
    epsilon_on: Literal["variance", "std"] = "variance"

    latex: ClassVar[str] = r"\mathrm{whiten}\left(%(advantage)s\right)"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "epsilon", 0.0)
        if self.over == "rows" and declares(self.advantage, "per_token"):
            raise ValueError(
                f"Whitened.over='rows' takes one value a row, and {self.advantage!r} differs within a row; "
                "use over='tokens'"
            )

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the whitened advantage at response tokens."""
        credit = self.advantage(step)
        mean, variance = moments(credit, self._counted(step))
        inside = self.epsilon if self.epsilon_on == "variance" else 0.0
        spread = (variance + inside).sqrt() + (self.epsilon - inside)
        # Values without spread are at their mean: 0 by any divisor.
        spread = torch.where(spread > 0, spread, 1.0)
        return torch.where(step.response_mask, (credit - mean) / spread, 0.0)

    def _counted(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        chosen = step.response_mask if self.over == "tokens" else last_token(step)
        return chosen & ~step.is_demonstration[:, None] if self.rows == "rollouts" else chosen


@dataclass(frozen=True)
class BatchScaled:
    """The wrapped advantage over the spread of the whole step's rewards:   A / (std of r + epsilon).

    The standard deviation divides by n − 1 and is taken over the step's rollouts; 0 is taken as 1.

    See Tricks or Traps? A Deep Dive into RL for LLM Reasoning, Liu et al., 2025
    (https://arxiv.org/abs/2508.08221).

    Args:
        advantage: What is divided.
        epsilon: Added to the standard deviation, in units of reward.
    """

    advantage: Advantage
    epsilon: float = 1e-4

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = r"\left(%(advantage)s\right)/\sigma_{\mathrm{batch}}"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "epsilon", 0.0)

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the scaled advantage at response tokens."""
        spread = moments(step.reward, ~step.is_demonstration).variance.sqrt()
        return self.advantage(step) / (torch.where(spread == 0, 1.0, spread) + self.epsilon)


@dataclass(frozen=True)
class ActiveScaled:
    """The wrapped advantage, made larger for what the step's rows without a signal leave out.

    Â = A · rollouts / active rollouts

    See GPG: A Simple and Strong Reinforcement Learning Baseline for Model Reasoning, Chu et al., 2025
    (https://arxiv.org/abs/2504.02546).

    Args:
        advantage: What is scaled.
        active: Which rollouts have a signal: those of groups with different rewards, as the paper has it, or
            those with a reward other than 0, as verl counts them.
    """

    advantage: Advantage
    active: Literal["mixed", "rewarded"] = "mixed"

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = r"\tfrac{B}{B_{\mathrm{active}}}\left(%(advantage)s\right)"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the scaled advantage at response tokens."""
        rollout = ~step.is_demonstration
        signal = step.reward != 0
        if self.active == "mixed":
            signal = group_moments(step.reward, rollout, step.group).std > 0
        active = (rollout & signal).sum().clamp(min=1)
        return self.advantage(step) * (rollout.sum() / active.to(step.reward.dtype))
