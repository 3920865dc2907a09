"""Denominators π_ref that stand still while the policy moves, as log-probs; and the policy itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_range
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class CurrentPolicy:
    """π_ref = π_θ: the ratio is 1, so the gradient is Â ∇ log π_θ (SFT, REINFORCE)."""

    latex: ClassVar[str] = r"\pi_\theta"

    def __call__(
        self,
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the policy's own log-probs."""
        return policy.logp


@dataclass(frozen=True)
class BehaviorPolicy:
    """π_ref = the policy that sampled the rows: the importance ratio of PPO and GRPO."""

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp"})
    latex: ClassVar[str] = r"\pi_{\mathrm{old}}"

    def __call__(
        self,
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the log-probs recorded when the rows were sampled."""
        return batch.require("behavior_logp", self)

    def integral(
        self,
        ratio: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the ratio."""
        return ratio


@dataclass(frozen=True)
class Unit:
    """π_ref = 1: the ratio is the probability itself, p = π_θ(y_t).

    See SRFT, Fu et al., 2025 (https://arxiv.org/abs/2506.19767), and Lv et al., 2025, table 1.
    """

    latex: ClassVar[str] = r"1"

    def __call__(
        self,
        policy: PolicyTokens,
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return zeros."""
        return torch.zeros_like(policy.logp)

    def integral(
        self,
        ratio: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the ratio."""
        return ratio


@dataclass(frozen=True)
class MixedBehavior:
    """π_ref = (π_ω + π_old)/2,   π_ω = π_old/2 + 1/(2·vocabulary).

    For demonstrations, which no known policy sampled: the mean of the policy's own snapshot and of a guess at
    the teacher, itself the mean of that snapshot and of the uniform distribution. The ratio is bounded by
    4·vocabulary however unlikely the snapshot finds a token.

    See RL-PLUS, Dong et al., 2025 (https://arxiv.org/abs/2508.00222).

    Args:
        vocabulary: Number of tokens that the uniform distribution is over.
    """

    vocabulary: int

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp"})
    latex: ClassVar[str] = r"\tfrac{3}{4}\pi_{\mathrm{old}}+\tfrac{1}{4}\cdot\tfrac{1}{%(vocabulary)s}"

    def __post_init__(self) -> None:
        check_range(self, "vocabulary", 1)

    def __call__(
        self,
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return log (3/4 π_old + 1/(4·vocabulary))."""
        behavior = batch.require("behavior_logp", self) + math.log(0.75)
        return torch.logaddexp(behavior, behavior.new_tensor(-math.log(4.0 * self.vocabulary)))

    def integral(
        self,
        ratio: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the ratio."""
        return ratio
