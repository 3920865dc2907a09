"""Which tokens of its rows a term trains on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from core.types import TokenBatch


@dataclass(frozen=True)
class EveryToken:
    """All tokens of the response."""

    latex: ClassVar[str] = r"t\in y"

    def __call__(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        """Return the response mask."""
        return step.response_mask


@dataclass(frozen=True)
class PrefixTokens:
    """Tokens of a rollout that were given from its question's demonstration."""

    needs: ClassVar[frozenset[str]] = frozenset({"prefixes"})
    latex: ClassVar[str] = r"t\in\mathrm{prefix}"

    def __call__(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        """Return the given tokens; none where no rollout has a prefix."""
        if step.prefix_mask is None:
            return torch.zeros_like(step.response_mask)
        return step.response_mask & step.prefix_mask


@dataclass(frozen=True)
class SampledTokens:
    """Tokens that the policy sampled after a given prefix; all of them where there is none."""

    latex: ClassVar[str] = r"t\notin\mathrm{prefix}"

    def __call__(self, step: TokenBatch) -> Bool[Tensor, "batch token"]:
        """Return the sampled tokens."""
        if step.prefix_mask is None:
            return step.response_mask
        return step.response_mask & ~step.prefix_mask
