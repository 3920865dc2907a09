"""Stabilization masks for rows that the policy being trained did not quite sample itself.

A rollout engine's log-probs differ from the trainer's for the very same weights; the importance weight
w = π_behavior/π_sampler corrects for it. And over the mini-batches of a step the policy moves away from both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_bounds, check_fields, check_range
from core.reductions import Level, at_level, row_mean
from core.tokens import SampledTokens
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class TruncatedImportance:
    """Weigh tokens by the trainer's over the sampler's probability, cut off above:   min(w, cap).

    w = π_behavior/π_sampler of the token, of the whole row (product) or of its average token (geometric
    mean); tokens that were given and not sampled have w = 1.

    See Your Efficient RL Framework Secretly Brings You Off-Policy RL Training, Yao et al., 2025
    (https://fengyao.notion.site/off-policy-rl).

    Args:
        cap: Largest weight.
        level: Whose probability: "token", "sequence" or "sequence_mean".
        floor: Smallest weight.
    """

    cap: float = 2.0
    level: Level = "token"
    floor: float = 0.0

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "sampler_logp"})
    rollouts_only: ClassVar[bool] = True
    latex: ClassVar[str] = r"\min(\pi_{\mathrm{old}}/\pi_{\mathrm{sampler}},\,%(cap)s)"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "floor", 0.0)
        check_range(self, "cap", self.floor)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the truncated weights."""
        return _sampler_weight(self, self.level, batch).clamp(self.floor, self.cap).to(ratio.dtype)


@dataclass(frozen=True)
class MaskedImportance:
    """Weigh tokens by the trainer's over the sampler's probability, and drop those where the two disagree.

    w   if low ≤ w ≤ high, else 0
    with w as in `TruncatedImportance`.

    See IcePop, Ling Team, 2025 (https://ringtech.notion.site/icepop; https://arxiv.org/abs/2510.18855).

    Args:
        low: Smallest weight that is trusted.
        high: Largest weight that is trusted.
        level: Whose probability: "token", "sequence" or "sequence_mean".
    """

    low: float = 0.0
    high: float = 2.0
    level: Level = "token"

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "sampler_logp"})
    rollouts_only: ClassVar[bool] = True
    latex: ClassVar[str] = (
        r"w\,\mathbf{1}_{w\in[%(low)s,\,%(high)s]}"
        r",\ \mathrm{where}\ w=\pi_{\mathrm{old}}/\pi_{\mathrm{sampler}}"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        check_bounds(self, 0.0)

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the weights, 0 outside the bounds."""
        weight = _sampler_weight(self, self.level, batch).to(ratio.dtype)
        return torch.where((weight < self.low) | (weight > self.high), 0.0, weight)


@dataclass(frozen=True)
class SequenceDivergenceMask:
    """Drop responses that are pushed down although the policy has left them already.

    1_stable = 0  if Â < 0 and mean over the row of log(π_behavior/π_θ) > threshold, else 1

    See DeepSeek-V3.2, DeepSeek-AI, 2025 (https://arxiv.org/abs/2512.02556), off-policy sequence masking.

    Args:
        threshold: In nats a token.
    """

    threshold: float

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp"})
    latex: ClassVar[str] = (
        r"\mathbf{1}_{\hat{A}\ge 0\,\lor\,\overline{\log(\pi_{\mathrm{old}}/\pi_\theta)}\le%(threshold)s}"
    )

    def __post_init__(self) -> None:
        check_range(self, "threshold")

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return 1 for kept tokens and 0 for those of dropped responses."""
        gap = row_mean(batch.require("behavior_logp", self) - policy.logp, batch)
        return (~((advantage < 0) & (gap > self.threshold))).to(ratio.dtype)


def _sampler_weight(part: object, level: Level, batch: TokenBatch) -> Float[Tensor, "batch token"]:
    """Return π_behavior/π_sampler of what was sampled, at every position."""
    sampled = dataclasses.replace(batch, response_mask=SampledTokens()(batch))
    gap = sampled.require("behavior_logp", part) - sampled.require("sampler_logp", part)
    return at_level(level, gap, sampled).exp()
