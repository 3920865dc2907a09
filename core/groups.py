"""Reductions over the rows that answer one question."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Moments(NamedTuple):
    """Mean and sample variance of some of the step's numbers."""

    mean: Float[Tensor, ""]
    variance: Float[Tensor, ""]


class GroupMoments(NamedTuple):
    """Size, mean and sample standard deviation of each row's group."""

    size: Float[Tensor, " batch"]
    mean: Float[Tensor, " batch"]
    std: Float[Tensor, " batch"]


def group_sum(values: Float[Tensor, " batch"], group: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Return, at every row, the sum of `values` over the rows of its group."""
    _, index = torch.unique(group, return_inverse=True)
    totals = torch.zeros(len(group), dtype=values.dtype, device=values.device)
    return totals.index_add(0, index, values)[index]


def _group_min(values: Float[Tensor, " batch"], group: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    _, index = torch.unique(group, return_inverse=True)
    lowest = torch.full_like(values, torch.inf)
    return lowest.scatter_reduce(0, index, values, "amin")[index]


def group_moments(
    values: Float[Tensor, " batch"], members: Bool[Tensor, " batch"], group: Int[Tensor, " batch"]
) -> GroupMoments:
    """Return the moments of `values` over each group's members, at every row of the group.

    The standard deviation divides by size − 1; it is 0 for a single member. A group without
    members has mean 0.
    """
    size = group_sum(members.to(values.dtype), group)
    # Measured from the group's lowest value, so that equal values deviate from their mean by exactly 0:
    # a rounding error left here would be divided by a standard deviation that is one too.
    lowest = _group_min(torch.where(members, values, torch.inf), group)
    base = torch.where(size > 0, lowest, 0.0)
    mean = base + group_sum(torch.where(members, values - base, 0.0), group) / size.clamp(min=1)
    squares = torch.where(members, (values - mean) ** 2, 0.0)
    std = (group_sum(squares, group) / (size - 1).clamp(min=1)).sqrt()
    return GroupMoments(size, mean, std)


def group_mean(
    values: Float[Tensor, " batch"], weight: Float[Tensor, " batch"], group: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return the mean over each group, weighted by `weight` >= 0, at every row; 0 where all weights are 0."""
    counted = weight > 0
    lowest = _group_min(torch.where(counted, values, torch.inf), group)
    base = torch.where(lowest.isfinite(), lowest, 0.0)
    total = group_sum(weight, group)
    above = group_sum(torch.where(counted, weight * (values - base), 0.0), group)
    return base + above / torch.where(total > 0, total, 1.0)


def moments(values: Float[Tensor, "*shape"], members: Bool[Tensor, "*shape"]) -> Moments:
    """Return the moments of `values` over the members.

    The variance divides by their number − 1; it is 0 for fewer than two. Without members the mean is 0.
    """
    size = members.sum()
    base = torch.where(members, values, torch.inf).flatten()
    # One number more, so that there is a lowest one; equal values deviate from their mean by exactly 0.
    lowest = torch.cat([base, base.new_full((1,), torch.inf)]).amin()
    lowest = torch.where(size > 0, lowest, 0.0)
    mean = lowest + torch.where(members, values - lowest, 0.0).sum() / size.clamp(min=1)
    squares = torch.where(members, (values - mean) ** 2, 0.0)
    return Moments(mean, squares.sum() / (size - 1).clamp(min=1))
