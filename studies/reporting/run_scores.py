"""What each run scored: one number a run, where the main table has one an arm."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from studies.reporting.records import Records
from studies.reporting.summaries import Distribution, columns

_KEYS = ["arm", "seed"]


def run_scores(records: Records, distributions: Mapping[str, Distribution]) -> pd.DataFrame:
    """Return the score of each finished run: arm, seed, suite (or average), score; arms in order.

    A suite's score is the mean over the questions that every run has a verdict on, so that all runs' scores
    are about the same questions.
    """
    if records.samples.empty:
        return pd.DataFrame({"arm": [], "seed": [], "suite": [], "score": []})
    keys = [*_KEYS, "suite", "question"]
    cells = records.samples.groupby(keys, observed=True)["earned"].mean()
    scores = {}
    for suite, part in cells.groupby(level="suite", observed=True):
        asked = part.droplevel("suite").unstack("question")
        scores[str(suite)] = asked.loc[:, asked.notna().all()].mean(axis=1)
    table = pd.DataFrame(scores)
    wanted = columns(records.study.suites, distributions)
    for name, suites in wanted.items():
        if set(suites) <= set(scores):
            table[name] = table[list(suites)].mean(axis=1, skipna=False)
    table = table[[name for name in wanted if name in table]]
    long = table.reset_index().melt(_KEYS, var_name="suite", value_name="score").dropna()
    return _in_order(long, list(records.study.arms), list(wanted))


def same_runs(records: Records) -> pd.Series:
    """Return a number for each finished run, by arm and seed, equal in runs that are one and the same.

    Two arms of equal algorithms give, with the same seed, runs that answer every question alike.
    """
    keys = [*_KEYS, "suite", "question", "sample"]
    earned = (
        records.samples.sort_values(keys).groupby(_KEYS)["earned"].agg(lambda run: run.to_numpy().tobytes())
    )
    return earned.groupby([earned.index.get_level_values("seed"), earned]).ngroup()


def averages_of(scores: pd.DataFrame) -> list[str]:
    """Return the averages among the columns of scores; all of them where there is none."""
    suites = list(dict.fromkeys(scores["suite"]))
    return [suite for suite in suites if suite.startswith("average")] or suites


def _in_order(table: pd.DataFrame, arms: list[str], suites: list[str]) -> pd.DataFrame:
    keys = table.assign(arm=table["arm"].map(arms.index), suite=table["suite"].map(suites.index))
    return table.loc[keys.sort_values(["arm", "seed", "suite"]).index].reset_index(drop=True)
