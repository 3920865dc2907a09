"""From TRL's options to rewards and advantages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from core import BatchScaled, ClippedReward, GroupRelative, LeaveOneOut, PenalizedByKl, TokenBatch, Whitened
from core.protocols import Advantage
from studies.conforming.cases import Case
from studies.conforming.options import SWITCH, Inexpressible, Options
from studies.conforming.quirks import EveryRow, ScoredOnly, WeightedSum

EPSILON = 1e-4
"""What TRL adds to its standard deviations."""

CENTERED = GroupRelative(normalize_std=False)

SCALES: dict[str | bool, Callable[[float], Advantage]] = {
    "group": lambda epsilon: GroupRelative(epsilon=epsilon),
    "batch": lambda epsilon: BatchScaled(CENTERED, epsilon),
    "none": lambda _: CENTERED,
    True: lambda epsilon: GroupRelative(epsilon=epsilon),
    False: lambda _: CENTERED,
}
"""scale_rewards"""


def _summed(options: Options, rewards: Tensor | None) -> Advantage:  # noqa: ARG001
    return ScoredOnly(options.choose("scale_rewards", SCALES, "group")(_epsilon(options)))


def _normalized(options: Options, rewards: Tensor | None) -> Advantage:
    if rewards is None:
        raise Inexpressible("multi_objective_aggregation=normalize_then_sum needs the input rewards_per_func")
    options.ignore("scale_rewards")  # both standard deviations always divide
    epsilon = _epsilon(options)
    by_function = ScoredOnly(GroupRelative(epsilon=epsilon))
    columns = tuple(tuple(column.tolist()) for column in rewards.unbind(dim=1))
    total = WeightedSum(by_function, columns, tuple(_weights(options, rewards)))
    return ScoredOnly(EveryRow(Whitened(total, "rows", epsilon, epsilon_on="std")))


AGGREGATIONS: dict[str, Callable[[Options, Tensor | None], Advantage]] = {
    "sum_then_normalize": _summed,
    "normalize_then_sum": _normalized,
}
"""multi_objective_aggregation: how the rewards of several functions become one advantage"""


def group_relative(
    case: Case, step: TokenBatch, options: Options, inputs: Options
) -> tuple[TokenBatch, Advantage | None]:
    """Return the rows with their rewards, and GRPOTrainer's advantage."""
    options.ignore("num_generations")  # the size of the groups, which the rows name themselves
    by_function = inputs.take("rewards_per_func", None)
    aggregation = options.choose("multi_objective_aggregation", AGGREGATIONS, "sum_then_normalize")
    advantage = aggregation(options, by_function)
    return _rewarded(step, options, by_function), _tested(case, advantage)


def leave_one_out(
    case: Case, step: TokenBatch, options: Options, inputs: Options
) -> tuple[TokenBatch, Advantage | None]:
    """Return the rows with their rewards, and RLOOTrainer's advantage."""
    options.ignore("num_generations")  # as above
    advantage: Advantage = LeaveOneOut()
    if options.choose("normalize_advantages", SWITCH, False):
        advantage = EveryRow(Whitened(advantage, "rows", _epsilon(options), epsilon_on="std"))
    if beta := options.number("beta", 0.0):
        advantage = PenalizedByKl(advantage, beta)
    if (bounds := options.take("reward_clip_range", None)) is not None:
        advantage = ClippedReward(advantage, *bounds)
    step = _rewarded(step, options, inputs.take("rewards_per_func", None))
    return step, _tested(case, ScoredOnly(advantage, alone_counts=False))


def _epsilon(options: Options) -> float:
    return options.number("advantage_eps", EPSILON)


def _tested(case: Case, advantage: Advantage) -> Advantage | None:
    """Return the estimator where the case has rewards, and advantages that were computed from them."""
    computed = "advantages" in case.expected and {"rewards", "rewards_per_func"} & set(case.inputs)
    return advantage if computed else None


def _weights(options: Options, rewards: Tensor) -> list[float]:
    weights = [float(weight) for weight in options.take("reward_weights", [1.0] * rewards.shape[1])]
    if len(weights) != rewards.shape[1]:
        raise Inexpressible(f"cannot express {len(weights)} reward_weights of {rewards.shape[1]} functions")
    return weights


def _rewarded(step: TokenBatch, options: Options, rewards: Tensor | None) -> TokenBatch:
    """Return the rows with the weighted sum of what scored them; NaN where nothing did."""
    if rewards is None:
        return step
    total = (rewards * rewards.new_tensor(_weights(options, rewards))).nansum(dim=1)
    return dataclasses.replace(step, reward=torch.where(rewards.isnan().all(dim=1), math.nan, total))
