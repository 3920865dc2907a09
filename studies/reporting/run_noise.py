"""How much runs of one and the same arm differ, and what of that is luck in the evaluation's answers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from studies.reporting.records import Records
from studies.reporting.run_scores import run_scores
from studies.reporting.summaries import Distribution, columns

SEEDS = (2, 3, 5, 8)
"""Numbers of seeds that the smallest detectable difference is told for."""


def noise(records: Records, distributions: Mapping[str, Distribution]) -> pd.DataFrame:
    """Return how runs of an arm differ, a row for each arm and suite or average.

    Columns: arm, suite, runs, mean, sd (between the runs' scores on the same questions), sd_low, sd_high
    (95 % by χ², for normal scores), sampling (the part of sd that other answers of the same policy would
    make), training (the rest, 0 where sampling alone makes as much), detectable_n for n of `SEEDS`.

        sd² = training² + sampling²,   sampling² of a suite = Σ_q s²_q / (K Q²)

    with s²_q the variance of the K answers to question q within a run, averaged over runs; an average over B
    suites has the suites' sum over B².
    """
    scores = run_scores(records, distributions)
    groups = columns(records.study.suites, distributions)
    sampled = _sampling(records.samples)
    rows = []
    for (arm, suite), part in scores.groupby(["arm", "suite"], sort=False):
        suites = groups[str(suite)]
        variance = sum(sampled.get((arm, name), math.nan) for name in suites) / len(suites) ** 2
        rows.append({"arm": arm, "suite": suite} | _spread(part["score"].to_numpy(), variance))
    return pd.DataFrame(rows)


def sd_interval(sd: float, degrees: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a normal variable's standard deviation: sd·√(df/χ²) at both ends."""
    ends = stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], degrees)
    low, high = sd * np.sqrt(degrees / ends)
    return float(low), float(high)


def detectable(sd: float, seeds: int) -> float:
    """Return the difference of two arms of so many seeds that a two-sided t-test at 5 % sees in 80 %."""
    effect = TTestIndPower().solve_power(nobs1=seeds, alpha=0.05, power=0.8, ratio=1.0)
    return sd * float(np.squeeze(effect))


def _spread(scores: np.ndarray, sampling: float) -> dict[str, float]:
    runs = len(scores)
    values = {"runs": runs, "mean": float(scores.mean())}
    if runs < 2:
        return values
    sd = float(scores.std(ddof=1))
    low, high = sd_interval(sd, runs - 1)
    left = sd**2 - sampling
    return values | {
        "sd": sd,
        "sd_low": low,
        "sd_high": high,
        "sampling": math.sqrt(sampling) if sampling >= 0 else math.nan,
        "training": math.sqrt(max(left, 0.0)) if not math.isnan(left) else math.nan,
        **{f"detectable_{seeds}": detectable(sd, seeds) for seeds in SEEDS},
    }


def _sampling(samples: pd.DataFrame) -> dict[tuple[object, object], float]:
    """Return by arm and suite the variance of a run's score over other answers of the same policy."""
    if samples.empty:
        return {}
    asked = samples.groupby(["arm", "seed", "suite", "question"], observed=True)["earned"]
    cells = pd.DataFrame({"variance": asked.var(ddof=1), "samples": asked.count()})
    cells["of_mean"] = cells["variance"] / cells["samples"]
    by_run = cells.groupby(level=["arm", "seed", "suite"], observed=True)["of_mean"]
    # One answer to a question tells nothing of others: no mean that leaves such questions out.
    of_run = by_run.sum(min_count=1) / by_run.size() ** 2
    of_run = of_run.where(by_run.count() == by_run.size())
    of_arm = of_run.groupby(level=["arm", "suite"], observed=True).mean()
    return {(arm, suite): float(value) for (arm, suite), value in zip(of_arm.index, of_arm, strict=True)}
