"""Advantages around an advantage: of rewards that were changed first."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.kl import estimate
from core.pairs import declares
from core.protocols import Advantage
from core.returns import Returns, last_token, token_rewards
from core.tokens import SampledTokens
from core.types import TokenBatch


def _check_rewards(owner: object, advantage: Advantage) -> None:
    """Raise ValueError for an advantage that asks whether a reward is exactly 1: a changed one is not."""
    if declares(advantage, "reads_outcome"):
        raise ValueError(
            f"{type(owner).__name__} changes rewards, and {advantage!r} compares the reward with 1; use an "
            "advantage of the reward itself, such as TotalReward or LeaveOneOut"
        )


def _returns(advantage: Advantage, step: TokenBatch) -> Float[Tensor, "batch token"]:
    if not isinstance(advantage, Returns):
        raise TypeError(f"{advantage!r} has no returns to train a critic on; use Gae or RewardToGo")
    return advantage.returns(step)


@dataclass(frozen=True)
class PenalizedByKl:
    """The wrapped advantage of rewards that were lowered by the distance from the reference policy.

    r′_t = r_t − weight · k_t,   r′ᵢ = rᵢ − weight · Σ_t k_t
    k1: k_t = L      k2: L²/2      k3: e^(−L) + L − 1      abs: |L|

    with L = log π_behavior(y_t) − log π_reference(y_t), over the tokens that were sampled; of given ones,
    prefixes and demonstrations, the sum estimates nothing.

    See Fine-Tuning Language Models from Human Preferences, Ziegler et al., 2019
    (https://arxiv.org/abs/1909.08593), eq. 2.

    Args:
        advantage: What is computed from the lowered rewards.
        weight: Reward a nat.
        estimator: Which estimator of the divergence.
        limit: Largest |k_t|; None: no limit.
    """

    advantage: Advantage
    weight: float
    estimator: Literal["k1", "k2", "k3", "abs"] = "k1"
    limit: float | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "reference_logp"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "reference_logp"})
    latex: ClassVar[str] = (
        r"%(advantage)s,\ r_t\!\leftarrow\! r_t-%(weight)s"
        r"\,\mathrm{KL}_{%(estimator)s}(\pi_{\mathrm{old}}\|\pi_{\mathrm{reference}})"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "weight")
        if self.limit is not None:
            check_range(self, "limit", 0.0)
        _check_rewards(self, self.advantage)

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        return self.advantage(self._lowered(step))

    def returns(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the wrapped advantage's returns of the lowered rewards."""
        return _returns(self.advantage, self._lowered(step))

    def _lowered(self, step: TokenBatch) -> TokenBatch:
        distance = step.require("behavior_logp", self) - step.require("reference_logp", self)
        sampled = SampledTokens()(step) & ~step.is_demonstration[:, None]
        divergence = estimate(self.estimator, distance.to(step.reward.dtype), self.limit).value
        penalty = torch.where(sampled, self.weight * divergence, 0.0)
        return dataclasses.replace(
            step, token_reward=token_rewards(step) - penalty, reward=step.reward - penalty.sum(dim=1)
        )


@dataclass(frozen=True)
class ClippedReward:
    """The wrapped advantage of rewards that were clipped:   r′ᵢ = min(max(rᵢ, low), high).

    Rewards by token keep their sum: the response's last token takes the difference.

    Args:
        advantage: What is computed from the clipped rewards.
        low: Lowest reward left.
        high: Highest reward left.
    """

    advantage: Advantage
    low: float
    high: float

    latex: ClassVar[str] = r"%(advantage)s,\ r_i\!\leftarrow\!\mathrm{clip}(r_i,\,%(low)s,\,%(high)s)"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "low")
        check_range(self, "high", self.low)
        _check_rewards(self, self.advantage)

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        return self.advantage(self._clipped(step))

    def returns(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the wrapped advantage's returns of the clipped rewards."""
        return _returns(self.advantage, self._clipped(step))

    def _clipped(self, step: TokenBatch) -> TokenBatch:
        reward = step.reward.clamp(self.low, self.high)
        taken = torch.where(last_token(step), (step.reward - reward)[:, None], 0.0)
        return dataclasses.replace(step, reward=reward, token_reward=token_rewards(step) - taken)
