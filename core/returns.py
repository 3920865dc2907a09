"""Credit that flows back through a response: returns and generalized advantages, token by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_range
from core.types import TokenBatch


@runtime_checkable
class Returns(Protocol):
    """An advantage that also says what the critic should have predicted."""

    def returns(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the target of the value before each response token."""
        ...


def token_rewards(step: TokenBatch) -> Float[Tensor, "batch token"]:
    """Return the reward at each response token: all of it at the last one, unless it was given by token."""
    if step.token_reward is not None:
        return torch.where(step.response_mask, step.token_reward, 0.0)
    return torch.where(last_token(step), step.reward[:, None], 0.0)


def last_token(step: TokenBatch) -> Bool[Tensor, "batch token"]:
    """Return where each response ends; nowhere in one without tokens."""
    return step.response_mask & (_following(step.response_mask) == step.response_mask.shape[1])


def _following(mask: Bool[Tensor, "batch token"]) -> Tensor:
    """Return, at every position, that of the next response token after it; the width where there is none."""
    width = mask.shape[1]
    here = torch.where(mask, torch.arange(width, device=mask.device), width)
    from_here = here.flip(1).cummin(dim=1).values.flip(1) if width else here
    return torch.cat([from_here[:, 1:], from_here.new_full((len(mask), min(width, 1)), width)], dim=1)


def _accumulate(
    values: Float[Tensor, "batch token"], mask: Bool[Tensor, "batch token"], decay: float
) -> Float[Tensor, "batch token"]:
    """Return x_t = v_t + decay · x_{t+1} at response tokens, t + 1 being the next of them; 0 elsewhere."""
    later = torch.zeros_like(values[:, 0]) if values.shape[1] else values
    found = []
    for value, inside in zip(values.flip(1).unbind(1), mask.flip(1).unbind(1), strict=True):
        later = torch.where(inside, value + decay * later, later)
        found.append(torch.where(inside, later, 0.0))
    return torch.stack(found[::-1], dim=1) if found else torch.zeros_like(values)


@dataclass(frozen=True)
class RewardToGo:
    """Discounted reward from each token on:   Â_t = r_t + gamma · Â_{t+1}.

    t + 1 is the next token of the response: positions that the response mask leaves out take no time.

    See REINFORCE++, Hu et al., 2025 (https://arxiv.org/abs/2501.03262), without its whitening and KL.

    Args:
        gamma: Discount a token, in [0, 1].
    """

    gamma: float = 1.0

    per_token: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_range(self, "gamma", 0.0, 1.0)

    @property
    def latex(self) -> str:
        """The formula, without the discount where there is none."""
        return r"\sum_{s\ge t}r_s" if self.gamma == 1.0 else r"\sum_{s\ge t}%(gamma)s^{s-t}r_s"

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the reward-to-go at response tokens."""
        return _accumulate(token_rewards(step), step.response_mask, self.gamma)

    def returns(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the reward-to-go: what a critic of it predicts."""
        return self(step)


@dataclass(frozen=True)
class Gae:
    """Generalized advantage estimate over the response's tokens.

    Â_t = δ_t + gamma · lam · Â_{t+1},   δ_t = r_t + gamma · V_{t+1} − V_t

    t + 1 is the next token of the response: positions that the response mask leaves out are as if they were
    not there. After the last token V and Â are 0.

    See High-Dimensional Continuous Control Using Generalized Advantage Estimation, Schulman et al., 2016
    (https://arxiv.org/abs/1506.02438), eq. 16.

    Args:
        gamma: Discount a token, in [0, 1].
        lam: λ, how far the critic's error is traded for variance; 1 uses the whole return.
    """

    gamma: float = 1.0
    lam: float = 1.0

    needs: ClassVar[frozenset[str]] = frozenset({"value"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"value"})
    per_token: ClassVar[bool] = True
    latex: ClassVar[str] = r"\hat{A}^{\mathrm{GAE}(%(gamma)s,\,%(lam)s)}"

    def __post_init__(self) -> None:
        check_range(self, "gamma", 0.0, 1.0)
        check_range(self, "lam", 0.0, 1.0)

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        value = step.require("value", self).to(step.reward.dtype)
        padded = torch.cat([value, value.new_zeros(len(value), 1)], dim=1)
        following = padded.gather(1, _following(step.response_mask))
        error = token_rewards(step) + self.gamma * following - value
        return _accumulate(error, step.response_mask, self.gamma * self.lam)

    def returns(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return Â_t + V_t: what the critic is trained towards."""
        return self(step) + step.require("value", self).to(step.reward.dtype)
