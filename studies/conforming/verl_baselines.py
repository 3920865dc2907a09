"""verl's baseline of least variance for each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.returns import RewardToGo
from core.types import TokenBatch

EPSILON = 1e-8


class _Columns(NamedTuple):
    """Rows whose tokens are compared column by column."""

    returns: Float[Tensor, "batch token"]
    weight: Float[Tensor, "batch token"]
    mask: Bool[Tensor, "batch token"]


@dataclass(frozen=True)
class OptimalTokenBaseline:
    """Reward-to-go less the group's mean of it at the same place, weighed by how uncertain the way there was.

    Â_{i,t} = G_{i,t} − Σⱼ W_{j,t} G_{j,t} / (Σⱼ W_{j,t} + 1e-8)
    W_{i,t} = Σ_{s ≤ t} (1 − 2π_s + Σ_v π_s(v)²) ρ_s²
    over the rows of a group, π under the behavior policy; a row alone in its group has no baseline.

    Args:
        squared: Σ_v π(v)² at each token of each row.
        weights: ρ, the tokens' weights against the sampler; None: 1.
        packed: Whether the same place is the same number of response tokens, or the same column.
        zero_tail: No baseline for the one longest row where all others of its group have ended.
    """

    squared: tuple[tuple[float, ...], ...]
    weights: tuple[tuple[float, ...], ...] | None = None
    packed: bool = False
    zero_tail: bool = True

    needs: ClassVar[frozenset[str]] = frozenset({"behavior_logp"})
    per_token: ClassVar[bool] = True

    def __call__(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        """Return the advantage at response tokens."""
        returns = RewardToGo()(step)
        mask = step.response_mask
        # Response tokens first, in their order: column k is then the row's k-th token.
        order = (~mask).to(torch.int8).argsort(dim=1, stable=True)
        columns = _Columns(returns, self._weight(step), mask)
        if self.packed:
            columns = _Columns(*(tensor.gather(1, order) for tensor in columns))
        baseline = torch.zeros_like(returns)
        for group in torch.unique(step.group):
            taken = (step.group == group) & mask.any(dim=1) if self.packed else step.group == group
            members = taken.nonzero().squeeze(1)
            if len(members) > 1:
                found = self._baseline(_Columns(*(tensor[members] for tensor in columns)))
                baseline = baseline.index_copy(0, members, found)
        if self.packed:
            baseline = torch.zeros_like(baseline).scatter(1, order, baseline)
        return torch.where(mask, returns - baseline, 0.0)

    def _weight(self, step: TokenBatch) -> Float[Tensor, "batch token"]:
        probability = step.require("behavior_logp", self).exp()
        variance = 1.0 - 2.0 * probability + step.reward.new_tensor(self.squared)
        if self.weights is not None:
            variance = variance * step.reward.new_tensor(self.weights).square()
        return torch.where(step.response_mask, variance, 0.0).cumsum(dim=1)

    def _baseline(self, group: _Columns) -> Float[Tensor, "batch token"]:
        weight = torch.where(group.mask, group.weight, 0.0)
        mean = (weight * group.returns).sum(dim=0) / (weight.sum(dim=0) + EPSILON)
        found = mean.expand_as(group.returns)
        if not self.zero_tail:
            return found
        length = group.mask.sum(dim=1)
        second, first = length.sort().values[-2:]
        tail = (length == first)[:, None] & (torch.arange(found.shape[1]) >= second)
        return torch.where(tail & (first > second), 0.0, found)
