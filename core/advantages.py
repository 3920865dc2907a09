"""Advantages Â: what each response is credited with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.groups import group_mean, group_moments, group_sum
from core.returns import RewardToGo
from core.types import TokenBatch


def on_tokens(credit: Float[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, "batch token"]:
    """Return one number a row at all of its response tokens, 0 elsewhere."""
    return torch.where(step.response_mask, credit[:, None], 0.0)


@dataclass(frozen=True)
class Constant:
    """The same credit for every response:   Âᵢ = credit (1 gives maximum likelihood)."""

    credit: float = 1.0

    latex: ClassVar[str] = "%(credit)s"

    def __post_init__(self) -> None:
        check_range(self, "credit")

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return `credit` at every response token."""
        return on_tokens(torch.full_like(step.reward, self.credit), step)


@dataclass(frozen=True)
class Outcome:
    """One credit for solved responses, another for the rest:   Âᵢ = solved if rᵢ = 1 else failed.

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), table 1: REINFORCE with ±1.
    """

    solved: float = 1.0
    failed: float = -1.0

    reads_outcome: ClassVar[bool] = True
    latex: ClassVar[str] = r"%(solved)s\ \mathrm{if}\ r_i=1\ \mathrm{else}\ {%(failed)s}"

    def __post_init__(self) -> None:
        check_range(self, "solved")
        check_range(self, "failed")

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the credit of each row's outcome at its tokens."""
        # Filled tensors: between two plain numbers torch.where works in float32.
        solved, failed = (torch.full_like(step.reward, credit) for credit in (self.solved, self.failed))
        return on_tokens(torch.where(step.reward == 1.0, solved, failed), step)


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
        check_fields(self)
        check_range(self, "epsilon", 0.0)

    @property
    def latex(self) -> str:
        """The formula, with the standard deviation only where it is divided by, and over whom it is taken."""
        over = r"\mathrm{on}" if self.members == "rollouts" else r"\mathrm{on}\cup\mathrm{off}"
        centered = rf"r_i-\bar{{r}}_{{{over}}}"
        added = "" if self.epsilon == 1e-6 else r"\;[\mathrm{epsilon}=%(epsilon)s]"
        return rf"({centered})/\sigma_{{{over}}}{added}" if self.normalize_std else centered

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
        return on_tokens(credit, step)


@dataclass(frozen=True)
class TotalReward:
    """The response's reward, without a baseline:   Âᵢ = rᵢ."""

    latex: ClassVar[str] = "r_i"

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's reward at its tokens."""
        return on_tokens(step.reward, step)


@dataclass(frozen=True)
class LeaveOneOut:
    """Reward relative to the group's other rollouts:   Âᵢ = rᵢ − mean of rⱼ over its rollouts j ≠ i.

    A row that is alone with its question has nothing to be compared with: its advantage is its reward.

    See Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs,
    Ahmadian et al., 2024 (https://arxiv.org/abs/2402.14740), sec. 3.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = r"r_i-\tfrac{1}{n_q-1}\sum_{j\ne i}r_j"

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's reward less that of the others at its tokens."""
        member = ~step.is_demonstration
        moments = group_moments(step.reward, member, step.group)
        others = moments.size - member.to(moments.size.dtype)
        # A rollout is itself in the mean; without it the distance is n / (n − 1) times as long.
        longer = moments.size / others.clamp(min=1)
        return on_tokens(torch.where(others > 0, (step.reward - moments.mean) * longer, step.reward), step)


@dataclass(frozen=True)
class OptimalBaseline:
    """Reward relative to the group's mean, each rollout weighed by its length.

    Âᵢ = rᵢ − Σⱼ |yⱼ| · rⱼ / Σⱼ |yⱼ|

    the baseline of least variance where the gradient's squared norm grows with the response. A single rollout
    has baseline 0.

    See On-Policy RL with Optimal Reward Baseline, Hao et al., 2025 (https://arxiv.org/abs/2505.23585).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = r"r_i-\sum_j|y_j|r_j/\sum_j|y_j|"

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's reward less the baseline at its tokens."""
        member = (~step.is_demonstration).to(step.reward.dtype)
        baseline = group_mean(step.reward, member * step.response_mask.sum(dim=1), step.group)
        several = group_sum(member, step.group) > 1
        return on_tokens(step.reward - torch.where(several, baseline, 0.0), step)


@dataclass(frozen=True)
class GreedyBaseline:
    """Reward from each token on, less that of the policy's greedy response:   Â_t = Σ_{s ≥ t} r_s − r_greedy.

    See ReMax, Li et al., 2023 (https://arxiv.org/abs/2310.10505), alg. 1.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"greedy_reward"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"greedy_reward"})
    per_token: ClassVar[bool] = True
    latex: ClassVar[str] = r"\sum_{s\ge t}r_s-r_{\mathrm{greedy}}"

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the reward-to-go less the baseline at response tokens."""
        return RewardToGo()(step) - on_tokens(step.require("greedy_reward", self), step)


@dataclass(frozen=True)
class Precomputed:
    """Credit that was computed elsewhere:   Â_t = the step's `advantage`.

    Training computes none: for steps that were made and filled by hand, as other libraries' golden cases are.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"advantage"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"advantage"})
    per_token: ClassVar[bool] = True
    latex: ClassVar[str] = r"\hat{A}_t"

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the given advantage at response tokens."""
        return step.require("advantage", self)
