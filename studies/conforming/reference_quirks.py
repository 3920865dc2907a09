"""Likelihoods and a denominator of the paper's released code that none of the core's parts are.

They stand for options of its loss functions that no algorithm here uses; each says which. `reference_masks`
holds its masks, `reference_rows` what it does across rows.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core import PolicyTokens, TokenBatch
from core.checks import check_range


@dataclass(frozen=True)
class PowerLikelihood:
    """The ratio to a power:   u = ratio^exponent,   ∇u = exponent · u · ∇ log π_θ.

    Options `pow` and `square_root` of both reshapes. `PowerPolicy` has the same gradient but for the factor;
    its loss is (u − 1)/exponent, the released one u.
    """

    exponent: float = 0.5

    def __post_init__(self) -> None:
        check_range(self, "exponent")

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return exponent · log ratio."""
        return self.exponent * log_ratio

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return exponent · weight."""
        return self.exponent * weight


@dataclass(frozen=True)
class ShapedRatio:
    """Both probabilities of the ratio to the behavior policy shaped:   u = h(π_θ)/h(π_old), h(p) = p/(p + γ).

    ∇u = u · γ/(π_θ + γ) · ∇ log π_θ

    Option `p_div_p_γ` of the on-policy reshape. `ShapedLikelihood` shapes the ratio itself.
    """

    gamma: float = 0.1

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp"})

    def __post_init__(self) -> None:
        check_range(self, "gamma", sys.float_info.min)

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return log h(π_θ) − log h(π_old), from log π_θ − log π_old."""
        old = batch.require("behavior_logp", self)
        return log_ratio - self._raised(log_ratio + old) + self._raised(old)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return weight · γ/(π_θ + γ)."""
        new = log_ratio + batch.require("behavior_logp", self)
        return weight * (math.log(self.gamma) - self._raised(new)).exp()

    def _raised(self, logp: Float[Tensor, "batch token"]) -> Float[Tensor, "batch token"]:
        """Return log(p + γ)."""
        return torch.logaddexp(logp, torch.full_like(logp, math.log(self.gamma)))


@dataclass(frozen=True)
class TeacherPolicy:
    """π_ref = π_teacher + epsilon: what the teacher, which sampled the demonstration, gave its tokens.

    Option `use_off_policy_probs`, input `target_probs`. The teacher's log-probs are read from `sampler_logp`:
    of a demonstration, the teacher is the sampler.
    """

    epsilon: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"sampler_logp"})

    def __post_init__(self) -> None:
        check_range(self, "epsilon", sys.float_info.min)

    def __call__(
        self,
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return log(π_teacher + epsilon)."""
        teacher = batch.require("sampler_logp", self)
        return torch.logaddexp(teacher, torch.full_like(teacher, math.log(self.epsilon)))

    def integral(
        self,
        ratio: Float[Tensor, "batch token"],
        policy: PolicyTokens,  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the ratio."""
        return ratio
