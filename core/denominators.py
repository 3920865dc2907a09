"""Denominators π_ref of the estimator, as log-probs without gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class CurrentPolicy:
    """π_ref = π_θ: the ratio is 1, so the gradient is Â ∇ log π_θ (SFT, REINFORCE)."""

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
