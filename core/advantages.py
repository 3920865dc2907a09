"""Advantages Â: what each response is credited with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_range
from core.groups import group_moments
from core.types import TokenBatch


def _on_tokens(credit: Float[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, "batch token"]:
    return torch.where(step.response_mask, credit[:, None], 0.0)


@dataclass(frozen=True)
class Constant:
    """The same credit for every response:   Âᵢ = credit (1 gives maximum likelihood)."""

    credit: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "credit")

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return `credit` at every response token."""
        return _on_tokens(torch.full_like(step.reward, self.credit), step)


@dataclass(frozen=True)
class Outcome:
    """One credit for solved responses, another for the rest:   Âᵢ = solved if rᵢ = 1 else failed.

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), table 1: REINFORCE with ±1.
    """

    solved: float = 1.0
    failed: float = -1.0

    def __post_init__(self) -> None:
        check_range(self, "solved")
        check_range(self, "failed")

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the credit of each row's outcome at its tokens."""
        # Filled tensors: between two plain numbers torch.where works in float32.
        solved, failed = (torch.full_like(step.reward, credit) for credit in (self.solved, self.failed))
        return _on_tokens(torch.where(step.reward == 1.0, solved, failed), step)


@dataclass(frozen=True)
class GroupRelative:
    """Reward relative to the other responses to the same question.

    Âᵢ = (rᵢ − mean) / (std + epsilon), or rᵢ − mean where `normalize_std` is off
    with mean and sample std (n − 1) over the group's `members`. A single member has no group to
    compare with, so its mean is taken as 0; a std of 0 is taken as 1. Both as the papers' released code does.

    See DeepSeekMath, Shao et al., 2024 (https://arxiv.org/abs/2402.03300), sec. 4.1.2, and for the
    variant without std Understanding R1-Zero-Like Training, Liu et al., 2025
    (https://arxiv.org/abs/2503.20783), eq. 3.

    Args:
        members: Whose rewards form the baseline: the group's rollouts, or its demonstrations too.
        normalize_std: Divide by the group's standard deviation.
        epsilon: Added to the standard deviation, in units of reward.
    """

    members: Literal["rollouts", "rollouts_and_demonstrations"] = "rollouts"
    normalize_std: bool = True
    epsilon: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})

    def __post_init__(self) -> None:
        check_range(self, "epsilon", 0.0)

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's group-relative reward at its tokens."""
        with_demonstrations = self.members == "rollouts_and_demonstrations"
        members = ~step.is_demonstration | with_demonstrations
        moments = group_moments(step.reward, members, step.group)
        alone = moments.size <= 1
        credit = step.reward - torch.where(alone, 0.0, moments.mean)
        if self.normalize_std:
            # Members of a group with std 0 have credit 0; a row outside it must not be divided by epsilon.
            credit = credit / (torch.where(moments.std == 0, 1.0, moments.std) + self.epsilon)
        return _on_tokens(credit, step)
