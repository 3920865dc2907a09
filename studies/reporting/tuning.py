"""Choosing each algorithm's learning rate, and what the chosen one is worth on runs it was not chosen by."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd

from studies.reporting.study_record import StudyRecord


class Tuned(NamedTuple):
    """An algorithm's arms: one for each learning rate that it was tried with.

    Args:
        name: What it is called.
        rates: Learning rate of each arm, ascending.
    """

    name: str
    rates: Mapping[str, float]


class Choice(NamedTuple):
    """What was chosen, and what it is worth.

    Args:
        rate: The rate with the highest mean over all seeds; NaN where no rate has a score.
        naive: That mean: the best of many is partly the luckiest.
        chosen: The rate chosen without each seed, by seed.
        honest: The mean over seeds of what a seed scores at the rate that was chosen without it.
    """

    rate: float
    naive: float
    chosen: Mapping[int, float]
    honest: float


def tuned_algorithms(study: StudyRecord) -> list[Tuned]:
    """Return the arms that differ in nothing but their learning rate, together."""
    groups: dict[str, dict[str, float]] = {}
    for arm in study.arms:
        run = study.runs[arm]
        if run["algorithm"] is not None:
            optimizer = run["train"]["optimizer"]
            rest = {**run["train"], "optimizer": {**optimizer, "learning_rate": None}}
            alike = json.dumps({**run, "train": rest}, sort_keys=True)
            groups.setdefault(alike, {})[arm] = optimizer["learning_rate"]
    names = [_name(study, next(iter(arms))) for arms in groups.values()]
    return [
        Tuned(name if names.count(name) == 1 else next(iter(arms)), dict(sorted(arms.items(), key=_by_rate)))
        for name, arms in zip(names, groups.values(), strict=True)
    ]


def choose(scores: pd.DataFrame, report: pd.DataFrame | None = None) -> Choice:
    """Return the best rate, and its cross-fitted worth.

    For each seed the rate is chosen by the mean over the other seeds and scored on that seed alone; the worth
    is the mean over seeds. A seed that some rate lacks takes no part in choosing or scoring.

    Args:
        scores: By seed (rows) and rate (columns): what is chosen by.
        report: The same for what is told of the chosen rate; None: what is chosen by.
    """
    told = scores if report is None else report
    means = scores.mean()
    if means.isna().all():
        return Choice(math.nan, math.nan, {}, math.nan)
    rate = _highest(means)
    whole = scores.dropna().index.intersection(told.dropna().index)
    chosen = {}
    if len(whole) > 1:
        for seed in whole:
            others = scores.loc[[other for other in whole if other != seed]].mean()
            chosen[int(seed)] = _highest(others)
    left_out = [float(told[picked][seed]) for seed, picked in chosen.items()]
    honest = fmean(left_out) if left_out else math.nan
    return Choice(rate, float(told[rate].mean()), chosen, honest)


def edge(rate: float, rates: Sequence[float]) -> str:
    """Return at which end of the rates that were tried one lies; empty where it is in between."""
    if math.isnan(rate) or len(rates) < 2:
        return ""
    return "lowest" if rate == min(rates) else "highest" if rate == max(rates) else ""


def _highest(means: pd.Series) -> float:
    """Return the rate with the highest mean."""
    known = means.dropna()
    return float(known.index[int(known.to_numpy().argmax())])


def _by_rate(item: tuple[str, float]) -> float:
    return item[1]


def _name(study: StudyRecord, arm: str) -> str:
    """Return the algorithm's name, with the scale where there are several."""
    scales = {run["scale"] for run in study.runs.values()}
    run: Mapping[str, Any] = study.runs[arm]
    name = str(run["algorithm"]["function"]).rpartition(":")[2]
    return f"{run['scale']} {name}" if len(scales) > 1 else name
