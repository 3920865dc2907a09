"""What TRL makes of the sampler's log-probs, which may be missing at some tokens (null, hence NaN).

Each wraps one of `core`'s masks; none of them is for training.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.protocols import Mask
from core.reductions import row_sum
from core.types import PolicyTokens, TokenBatch


@dataclass(frozen=True)
class AgainstSampler:
    """A mask that compares with the sampler's log-probs instead of the behavior policy's.

    A token that the sampler did not report counts as one at which the two agree.
    """

    mask: Mask

    needs: ClassVar[frozenset[str]] = frozenset({"sampler_logp"})
    rollouts_only: ClassVar[bool] = True

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the wrapped mask's weights."""
        sampler = batch.require("sampler_logp", self)
        known = torch.where(sampler.isnan(), policy.logp, sampler)
        return self.mask(ratio, advantage, policy, dataclasses.replace(batch, behavior_logp=known))


@dataclass(frozen=True)
class SamplerWeight:
    """A token's weight w = π_behavior/π_sampler, 1 where the sampler reported nothing, as a mask bounds it.

    Args:
        mask: What bounds it, of single tokens.
        of_row: Whether w is that of the whole row, whose log TRL does not cut at ±80 as core's parts do.
    """

    mask: Mask
    of_row: bool = False

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp", "sampler_logp"})
    rollouts_only: ClassVar[bool] = True

    def __call__(
        self,
        ratio: Float[Tensor, "batch token"],
        advantage: Float[Tensor, "batch token"],
        policy: PolicyTokens,
        batch: TokenBatch,
    ) -> Float[Tensor, "batch token"]:
        """Return the bounded weights, outside the response mask that of w = 1."""
        behavior, sampler = batch.require("behavior_logp", self), batch.require("sampler_logp", self)
        gap = torch.where(sampler.isnan(), 0.0, behavior - sampler)
        if self.of_row:
            gap = row_sum(gap, batch)
        # The wrapped mask takes a difference again: one to 0 is exact.
        moved = dataclasses.replace(batch, behavior_logp=gap, sampler_logp=torch.zeros_like(gap))
        return self.mask(ratio, advantage, policy, moved)
