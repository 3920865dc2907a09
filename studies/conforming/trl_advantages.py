"""From TRL's options to rewards and advantages.

Moments of a whole batch are taken over all rows of a case, also where the normalisers of its loss count
several generation batches.
"""

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
from studies.conforming.quirks import EveryRow, ScoredOnly, StandardizedSum

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

GRPO_REWARDS = ("reward_weights", "advantage_eps", "scale_rewards", "multi_objective_aggregation")
RLOO_REWARDS = ("reward_weights", "advantage_eps", "normalize_advantages", "beta", "reward_clip_range")
"""Options of how rewards become advantages: they change nothing where a case gives the advantages alone."""


def _summed(options: Options, rewards: Tensor) -> Advantage:  # noqa: ARG001
    return ScoredOnly(options.choose("scale_rewards", SCALES, "group")(_epsilon(options)))


def _normalized(options: Options, rewards: Tensor) -> Advantage:
    options.ignore("scale_rewards")  # both standard deviations always divide
    rows = tuple(tuple(row) for row in rewards.tolist())
    return StandardizedSum(rows, tuple(_weights(options, rewards)), _epsilon(options))


AGGREGATIONS: dict[str, Callable[[Options, Tensor], Advantage]] = {
    "sum_then_normalize": _summed,
    "normalize_then_sum": _normalized,
}
"""multi_objective_aggregation: how the rewards of several functions become one advantage"""


def group_relative(
    case: Case, step: TokenBatch, options: Options, inputs: Options
) -> tuple[TokenBatch, Advantage | None]:
    """Return the rows with their rewards, and GRPOTrainer's advantage."""
    options.ignore("num_generations")  # the size of the groups, which the rows name themselves
    rewards = _by_function(inputs)
    if rewards is None:
        options.ignore(*GRPO_REWARDS)
        return step, None
    aggregation = options.choose("multi_objective_aggregation", AGGREGATIONS, "sum_then_normalize")
    advantage = aggregation(options, rewards)
    return _rewarded(step, options, rewards), _tested(case, advantage)


def leave_one_out(
    case: Case, step: TokenBatch, options: Options, inputs: Options
) -> tuple[TokenBatch, Advantage | None]:
    """Return the rows with their rewards, and RLOOTrainer's advantage."""
    options.ignore("num_generations")  # as above
    rewards = _by_function(inputs)
    if rewards is None:
        options.ignore(*RLOO_REWARDS)
        return step, None
    advantage: Advantage = LeaveOneOut()
    if options.choose("normalize_advantages", SWITCH, False):
        advantage = EveryRow(Whitened(advantage, "rows", _epsilon(options), epsilon_on="std"))
    if beta := options.number("beta", 0.05):
        advantage = PenalizedByKl(advantage, beta)
    if (bounds := options.take("reward_clip_range", None)) is not None:
        advantage = ClippedReward(advantage, *bounds)
    return _rewarded(step, options, rewards), _tested(case, ScoredOnly(advantage, alone_counts=False))


def _by_function(inputs: Options) -> Tensor | None:
    """Return the rewards function by function; `rewards` are those of a single one."""
    single = inputs.take("rewards", None)
    return inputs.take("rewards_per_func", None if single is None else single[:, None])


def _epsilon(options: Options) -> float:
    return options.number("advantage_eps", EPSILON)


def _tested(case: Case, advantage: Advantage) -> Advantage | None:
    """Return the estimator where the case has advantages that were computed from its rewards."""
    return advantage if "advantages" in case.expected else None


def _weights(options: Options, rewards: Tensor) -> list[float]:
    weights = [float(weight) for weight in options.take("reward_weights", [1.0] * rewards.shape[1])]
    if len(weights) != rewards.shape[1]:
        raise Inexpressible(f"cannot express {len(weights)} reward_weights of {rewards.shape[1]} functions")
    return weights


def _rewarded(step: TokenBatch, options: Options, rewards: Tensor) -> TokenBatch:
    """Return the rows with the weighted sum of what scored them; NaN where nothing did."""
    total = (rewards * rewards.new_tensor(_weights(options, rewards))).nansum(dim=1)
    return dataclasses.replace(step, reward=torch.where(rewards.isnan().all(dim=1), math.nan, total))
