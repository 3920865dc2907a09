"""Parts for what the paper's released code does across rows and none of the core's parts do.

They stand for options of its losses and advantage estimators that no algorithm here uses; each says which.
All are plan-phase parts; `reference_quirks` holds those of the coefficient phase.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core import GateWeights, TokenBatch
from core.advantages import on_tokens
from core.checks import check_fields, check_range
from core.protocols import Advantage, RowWeight


@dataclass(frozen=True)
class RewardSign:
    """Credit by the sign of the reward:   Âᵢ = 1 if rᵢ > 0 else −1.

    Estimator `grpo_balance`. `Outcome` asks for a reward of exactly 1 instead.
    """

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the credit at each row's tokens."""
        ones = torch.ones_like(step.reward)
        return on_tokens(torch.where(step.reward > 0, ones, -ones), step)


@dataclass(frozen=True)
class RoundedGroup:
    """`GroupRelative` with each group's moments rounded as `torch.mean` and `torch.std` round them.

    Estimators `grpo` and `grpo_split`. Equal rewards of 0.1, say, then deviate from their mean by their last
    digit, and have a standard deviation as small; `GroupRelative` makes both 0.

    Args:
        members: Whose rewards form the baseline.
        normalize_std: Divide by the group's standard deviation.
        epsilon: Added to the standard deviation.
    """

    members: Literal["rollouts", "rollouts_and_demonstrations"]
    normalize_std: bool = True
    epsilon: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "epsilon", 0.0)

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return each row's group-relative reward at its tokens."""
        among = ~step.is_demonstration | (self.members == "rollouts_and_demonstrations")
        credit = torch.zeros_like(step.reward)
        for group in torch.unique(step.group):
            rows = step.group == group
            mean, std = _moments(step.reward[rows & among])
            own = (step.reward - mean) / (std + self.epsilon) if self.normalize_std else step.reward - mean
            credit = torch.where(rows, own, credit)
        return on_tokens(credit, step)


def _moments(rewards: Float[Tensor, " members"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the mean and the standard deviation: 0 and 1 for fewer than two rewards, 1 in place of 0."""
    one = rewards.new_ones(())
    if len(rewards) < 2:
        return torch.zeros_like(one), one
    std = rewards.std()
    return rewards.mean(), torch.where(std == 0, one, std)


@dataclass(frozen=True)
class PastTheEnd:
    """The wrapped advantage of responses that are one token longer.

    Estimator `gae`: it runs on through the padding, where the critic's value is kept at the first pad and is
    0 from the second on, so that to it a response has one more token. With λ = 1 it makes no difference.
    """

    advantage: Advantage

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at the response's own tokens."""
        longer = dataclasses.replace(step, response_mask=one_more(step.response_mask))
        return torch.where(step.response_mask, self.advantage(longer), 0.0)


def one_more(mask: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
    """Return the mask with the position after each of its tokens, as far as the width goes."""
    return mask | torch.cat([torch.zeros_like(mask[:, :1]), mask[:, :-1]], dim=1)


@dataclass(frozen=True)
class OwnGroup:
    """The wrapped advantage of rows that are each alone with their question.

    What the released step gives a demonstration that took its question's place: the question's rollouts are
    dropped before advantages are computed.
    """

    advantage: Advantage

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        alone = torch.arange(len(step.group), device=step.group.device)
        return self.advantage(dataclasses.replace(step, group=alone))


@dataclass(frozen=True)
class StepTokenMean:
    """Mean over all tokens of the step, whichever rows the term selects:   1 / Σⱼ|yⱼ|.

    Off `loss_remove_token_mean`, where rollouts and demonstrations share one masked mean.
    """

    def __call__(self, selected: Bool[Tensor, " batch"], step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's factor; 0 in a step without tokens."""
        share = 1.0 / step.response_mask.sum().clamp(min=1).to(step.reward.dtype)
        return torch.where(selected, share, 0.0)


@dataclass(frozen=True)
class UnlikelyTokens:
    """Tokens whose probability, as the step is planned, is at most `bound`.

    Option `all_max_clip`: the others lose their loss, and their place in a token mean.
    """

    bound: float

    needs: ClassVar[frozenset[str]] = frozenset({"current_logp"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"current_logp"})

    def __post_init__(self) -> None:
        check_range(self, "bound")

    def __call__(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        """Return the tokens."""
        return step.response_mask & (step.require("current_logp", self).exp() <= self.bound)


@dataclass(frozen=True)
class Flagged:
    """Those of `rows` that carry a flag, or those that don't.

    Input `whether_off`: demonstrations of questions between two gates, which are not imitated.

    Args:
        rows: Which rows are chosen from.
        flags: Of each row of the step, in order.
        value: Which flag a row must have.
    """

    rows: RowWeight
    flags: tuple[bool, ...]
    value: bool = True

    def __call__(self, step: TokenBatch) -> Float[Tensor, " batch"]:
        """Return each row's weight; raise ValueError in a step of other rows."""
        if len(self.flags) != len(step.group):
            raise ValueError(f"Flagged has {len(self.flags)} flags for the step's {len(step.group)} rows")
        chosen = torch.tensor(self.flags, device=step.group.device) == self.value
        return torch.where(chosen, self.rows(step), 0.0)


@dataclass(frozen=True)
class Routed:
    """A gate that lets every row through: those of a step that was routed before it was recorded.

    The golden cases of the training step begin behind the gate; `routing` holds those of the gate itself.
    """

    reinforce: float = 1.0
    imitate: float = 1.0

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return the same two weights for each row."""
        ones = torch.ones_like(step.reward)
        return GateWeights(self.reinforce * ones, self.imitate * ones)
