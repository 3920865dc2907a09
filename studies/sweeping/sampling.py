"""What the next trial tries: the same for the same number and the same trials before it, in any process."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from studies.catalog import UsageError, known
from studies.sweeping.axes import Axis, Value, grid, suggest
from studies.sweeping.trials import Trial, as_study

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("none", "median", "hyperband")
RANDOM_AT_FIRST = 10
"""Trials of TPE that are random: it has nothing to learn from yet."""


def check_size(axes: Sequence[Axis], sampler: str, trials: int) -> None:
    """Refuse more trials than a grid has points."""
    known("sampler", sampler, SAMPLERS)
    if trials < 1:
        raise UsageError(f"--trials={trials} must be at least 1")
    if sampler == "grid" and trials > (points := len(grid(axes))):
        raise UsageError(f"--trials={trials}: the grid has {points} points; give at most --trials {points}")


def propose(
    axes: Sequence[Axis], sampler: str, seed: int, before: Sequence[Trial], pruner: BasePruner
) -> dict[str, Value]:
    """Return the values of the next trial.

    Grid and random depend on the trial's number alone; TPE on what is known of those before it as well.

    Args:
        axes: What is varied.
        sampler: One of `SAMPLERS`.
        seed: Of the sweep.
        before: All trials there are, in order.
        pruner: The sweep's: TPE learns from the trials of the same bracket of Hyperband.
    """
    number = len(before)
    if sampler == "grid":
        return grid(axes)[number]
    stream = int(hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()[:8], 16)
    # Nothing is drawn in the storage itself: a process may end in the middle of that.
    if sampler == "random" or number < RANDOM_AT_FIRST:
        scratch = optuna.create_study(sampler=RandomSampler(stream))
    else:
        scratch = as_study(before, axes, sampler=_tpe(stream), pruner=pruner)
    return suggest(axes, scratch.ask())


def _tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            seed=seed,
            multivariate=True,
            group=True,
            constant_liar=True,  # trials under way count as bad ones, so that workers do not try the same
            n_startup_trials=RANDOM_AT_FIRST,
        )


def make_pruner(name: str, first: int, last: int) -> BasePruner:
    """Return Optuna's pruner.

    Args:
        name: One of `PRUNERS`.
        first: Step of the first validation.
        last: Step of the last one.
    """
    match known("pruner", name, PRUNERS):
        case "median":
            return MedianPruner(n_startup_trials=5)
        case "hyperband":
            return HyperbandPruner(min_resource=first, max_resource=last)
    return NopPruner()
