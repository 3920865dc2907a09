"""Likelihoods: whose likelihood is differentiated, the token's, the response's, or a function of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.reductions import at_level, row_mean, row_sum
from core.types import TokenBatch


@dataclass(frozen=True)
class TokenLikelihood:
    """Every token carries its own ratio:   ∇π_θ(y_t)/π_ref(y_t)."""

    latex: ClassVar[str] = r"\nabla\rho_t"

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the log-ratios as they are."""
        return log_ratio

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the weights as they are."""
        return weight


@dataclass(frozen=True)
class SequenceLikelihood:
    """One length-normalised ratio for the whole response, differentiated as a whole.

    s = (π_θ(y)/π_ref(y))^(1/|y|),   ∇s = s · (1/|y|) Σ_t ∇ log π_θ(y_t)

    See Group Sequence Policy Optimization, Zheng et al., 2025 (https://arxiv.org/abs/2507.18071), eq. 7.
    """

    row_advantage: ClassVar[bool] = True
    latex: ClassVar[str] = r"\nabla\rho(y)^{1/|y|}"

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean log-ratio at each of its tokens."""
        return row_mean(log_ratio, batch)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean weight at each of its tokens."""
        return torch.where(batch.response_mask, row_mean(weight, batch), 0.0)


@dataclass(frozen=True)
class SequenceTokenLikelihood:
    """The response's length-normalised ratio at every token, differentiated token by token.

    s_t = sg(s) · π_θ(y_t)/sg(π_θ(y_t)),   ∇s_t = s · ∇ log π_θ(y_t)
    with s as in `SequenceLikelihood`; advantages may then differ between the tokens of a row.

    See Group Sequence Policy Optimization, Zheng et al., 2025 (https://arxiv.org/abs/2507.18071), eq. 13.
    """

    latex: ClassVar[str] = r"\mathrm{sg}[\rho(y)^{1/|y|}]\,\nabla\log\pi_\theta(y_t)"

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's mean log-ratio at each of its tokens."""
        return row_mean(log_ratio, batch)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,  # noqa: ARG002
    ) -> Float[Tensor, "batch token"]:
        """Return the weights as they are."""
        return weight


@dataclass(frozen=True)
class ResponseLikelihood:
    """The ratio of the whole response, a product over its tokens, differentiated as a whole.

    ρ = π_θ(y)/π_ref(y),   ∇ρ = ρ · Σ_t ∇ log π_θ(y_t)
    The log of ρ is cut at ±80, where float32 ends.

    See Back to Basics, Ahmadian et al., 2024 (https://arxiv.org/abs/2402.14740): a response as one action.
    """

    row_advantage: ClassVar[bool] = True
    latex: ClassVar[str] = r"\nabla\rho(y)"

    def __call__(
        self,
        log_ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's sum of log-ratios at each of its tokens."""
        return at_level("sequence", log_ratio, batch)

    def pull_back(
        self,
        weight: Float[Tensor, "batch token"],
        log_ratio: Float[Tensor, "batch token"],  # noqa: ARG002
        advantage: Float[Tensor, "batch token"],  # noqa: ARG002
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the row's sum of weights at each of its tokens."""
        return torch.where(batch.response_mask, row_sum(weight, batch), 0.0)
