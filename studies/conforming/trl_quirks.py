"""Masks and a likelihood for what TRL does beyond the estimator's own parts.

Each is small and wraps or resembles one of `core`'s; none of them is for training.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.batch_masks import TopEntropy
from core.protocols import Mask
from core.reductions import row_sum
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class ProductLikelihood:
    """The whole response's ratio, as RLOO clips it:   s = π_θ(y)/π_ref(y).

    As `ResponseLikelihood`, but without its cut at ±80 in the log: TRL has none.
    """

    row_advantage: ClassVar[bool] = True

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's summed log-ratio at each of its tokens."""
        return row_sum(log_ratio, batch)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's summed weight at each of its tokens."""
        return torch.where(batch.response_mask, row_sum(weight, batch), 0.0)


@dataclass(frozen=True)
class GammaWeight:
    """VESPO's weight of a whole response, held constant:   φ(w) = e^λ · w^k · e^(−λw),   φ(1) = 1.

    w = π_θ(y)/π_behavior(y), times the tokens' weights against the sampler where there is a correction; k and
    λ by the advantage's sign. Bounds are TRL's: a token's log-ratio in ±20, log w in [log 1e-8, 20]; a φ that
    overflows is 0. The correction multiplies over all positions, as TRL's does: where there is no token it is
    that of a ratio of 1, which its bounds may exclude.

    See VESPO: Variational Sequence-Level Soft Policy Optimization for Stable Off-Policy LLM Training, 2026
    (https://arxiv.org/abs/2602.10693).

    Args:
        positive: (k, λ) where Â ≥ 0.
        negative: (k, λ) where Â < 0.
        correction: Weight of each position against the sampler; None: 1.
    """

    positive: tuple[float, float] = (2.0, 3.0)
    negative: tuple[float, float] = (3.0, 2.0)
    correction: Mask | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp"})

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return φ(w) at each token."""
        floor = math.log(1e-8)
        moved = (policy.logp - batch.require("behavior_logp", self)).clamp(-20.0, 20.0)
        log_w = row_sum(moved, batch)
        if self.correction is not None:
            weight = self.correction(ratio, advantage, policy, batch)
            log_w = log_w + weight.log().clamp(floor, 20.0).sum(dim=1, keepdim=True)
        log_w = log_w.clamp(floor, 20.0)
        power, decay = (
            torch.where(advantage >= 0, torch.full_like(ratio, up), down)
            for up, down in zip(self.positive, self.negative, strict=True)
        )
        decay = decay.clamp(min=1e-4)
        return (decay + power * log_w - decay * log_w.exp()).exp().nan_to_num(posinf=0.0)


@dataclass(frozen=True)
class SingleTopEntropy:
    """A `TopEntropy` whose quantile is in single precision, and the entropies compared with it are not.

    A token right at the quantile is lost where float32 rounds its entropy up.
    """

    mask: TopEntropy

    needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return ones: what is dropped is decided in `plan`."""
        return self.mask(ratio, advantage, policy, batch)

    def plan(self, step: TokenBatch, advantage: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        """Return 1 at the tokens of highest entropy and 0 at the others."""
        entropy = step.require("current_entropy", self)
        single = entropy.float()
        kept = self.mask.plan(dataclasses.replace(step, current_entropy=single.to(entropy.dtype)), advantage)
        if not step.response_mask.any():
            return kept
        quantile = torch.quantile(single[step.response_mask], 1.0 - self.mask.share)
        return torch.where(entropy >= quantile, kept, 0.0)


@dataclass(frozen=True)
class HighEntropyTokens:
    """Tokens that a mask keeps, as the choice of tokens that an average counts."""

    mask: SingleTopEntropy

    needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})

    def __call__(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        """Return the tokens of highest entropy."""
        ones = torch.ones_like(step.response_mask, dtype=step.reward.dtype)
        return self.mask.plan(step, ones) != 0
