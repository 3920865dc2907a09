"""From verl's options to advantages and returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from core import (
    ActiveScaled,
    Gae,
    GreedyBaseline,
    GroupRelative,
    LeaveOneOut,
    OptimalBaseline,
    PenalizedByKl,
    RewardToGo,
    TokenBatch,
    Whitened,
)
from core.protocols import Advantage
from studies.conforming.options import SWITCH, Inexpressible, Options
from studies.conforming.quirks import ScoredOnly, WeightedSum
from studies.conforming.verl_baselines import OptimalTokenBaseline
from studies.conforming.verl_divergences import DIVERGENCES, Divergence, of_reward
from studies.conforming.verl_quirks import BestOfGroup, LeakyWhitened, SingleGroup

CENTERED = GroupRelative(normalize_std=False)


@dataclass(frozen=True)
class Estimate:
    """An advantage, and the returns that verl hands out with it."""

    advantage: Advantage
    returns: Gae | RewardToGo | PenalizedByKl | None = None
    """None: the advantages themselves."""

    def penalized(self, weight: float, divergence: Divergence) -> Estimate:
        """Return the estimate from rewards lowered by the divergence from the reference policy."""
        fields = of_reward(divergence)
        returns = None if self.returns is None else PenalizedByKl(self.returns, weight, **fields)
        return Estimate(PenalizedByKl(self.advantage, weight, **fields), returns)


def _std(options: Options) -> bool:
    return options.choose("norm_adv_by_std_in_grpo", SWITCH, True)


def _gae(options: Options, inputs: Options) -> Estimate:  # noqa: ARG001
    raw = Gae(options.number("gamma", 1.0), options.number("lam", 1.0))
    return Estimate(LeakyWhitened(Whitened(raw)), raw)


def _to_go(options: Options, inputs: Options) -> Estimate:  # noqa: ARG001
    raw = RewardToGo(options.number("gamma", 1.0))
    return Estimate(LeakyWhitened(Whitened(raw)), raw)


def _gdpo(options: Options, inputs: Options) -> Estimate:
    advantage: Advantage = GroupRelative(normalize_std=_std(options))
    if keys := options.take("gdpo_reward_keys", ()):
        rewards = tuple(tuple(inputs.take(f"reward_parts/{key}").tolist()) for key in keys)
        weights = tuple(float(weight) for weight in options.take("gdpo_reward_weights", [1.0] * len(keys)))
        if len(weights) != len(keys):
            raise Inexpressible(f"cannot express {len(weights)} gdpo_reward_weights of {len(keys)} rewards")
        advantage = WeightedSum(advantage, rewards, weights)
    return Estimate(LeakyWhitened(Whitened(advantage)))


def _token_baseline(options: Options, inputs: Options, packed: bool) -> Estimate:
    weights = inputs.take("rollout_is_weights", None)
    baseline = OptimalTokenBaseline(
        _rows(inputs.take("sum_pi_squared")),
        None if weights is None else _rows(weights),
        packed,
        options.choose("handle_zero_tail", SWITCH, True),
    )
    return Estimate(baseline, RewardToGo())


def _rows(values: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


ESTIMATORS: dict[str, Callable[[Options, Options], Estimate]] = {
    "gae": _gae,
    "grpo": lambda options, _: Estimate(GroupRelative(normalize_std=_std(options))),
    "grpo_vectorized": lambda options, _: Estimate(SingleGroup(_std(options))),
    "grpo_passk": lambda options, _: Estimate(BestOfGroup(_std(options))),
    "gdpo": _gdpo,
    "rloo": lambda *_: Estimate(LeaveOneOut()),
    "rloo_vectorized": lambda *_: Estimate(ScoredOnly(LeaveOneOut())),
    "reinforce_plus_plus": _to_go,
    "reinforce_plus_plus_baseline": lambda *_: Estimate(LeakyWhitened(Whitened(CENTERED))),
    "remax": lambda *_: Estimate(GreedyBaseline(), RewardToGo()),
    "opo": lambda *_: Estimate(OptimalBaseline()),
    "gpg": lambda *_: Estimate(ActiveScaled(CENTERED, "rewarded")),
    "optimal_token_baseline": lambda options, inputs: _token_baseline(options, inputs, packed=False),
    "tir_optimal_token_baseline": lambda options, inputs: _token_baseline(options, inputs, packed=True),
}
"""adv_estimator"""

OWN = (
    "gamma",
    "lam",
    "norm_adv_by_std_in_grpo",
    "gdpo_reward_keys",
    "gdpo_reward_weights",
    "handle_zero_tail",
)
"""Options that some estimators read and the others don't."""


def estimate(options: Options, inputs: Options) -> Estimate | None:
    """Return the estimator that a case's options name, if they do."""
    options.ignore("precision")  # says of float32 what the case's tag does
    options.ignore(*OWN)  # of other estimators
    inputs.ignore("values", "token_rewards", "reward_baselines")  # `rows_of` reads them
    if options.take("adv_estimator", None) is None:
        return None
    found = options.choose("adv_estimator", ESTIMATORS)(options, inputs)
    divergence = options.choose("kl_penalty", DIVERGENCES, "kl")
    weight = options.number("kl_reward_coef", 0.0)
    return found.penalized(weight, divergence) if weight else found


def rewarded(step: TokenBatch, inputs: Options) -> TokenBatch:
    """Return the rows with the rewards as verl sums them: those by token make up the row's."""
    baselines = inputs.take("reward_baselines", None)
    reward = step.reward if step.token_reward is None else step.token_reward.sum(dim=1)
    return dataclasses.replace(step, reward=reward, greedy_reward=baselines)
