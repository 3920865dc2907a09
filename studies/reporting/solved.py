"""Which questions were solved, where a question has one answer or many, in one run or in several."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from studies.reporting.records import Records


def solved_by_seed(samples: pd.DataFrame, arm: str, suite: str) -> pd.DataFrame:
    """Return 1 where more than half of a question's answers are correct, else 0; a column for each seed.

    Questions that some seed has no verdict on are left out.
    """
    if samples.empty:
        return pd.DataFrame()
    taken = samples[(samples["arm"] == arm) & (samples["suite"] == suite)]
    shares = taken.groupby(["question", "seed"], observed=True)["earned"].mean().unstack("seed").dropna()
    return (shares > 0.5).astype("float64")


def solved(samples: pd.DataFrame, arm: str, seeds: Sequence[int]) -> pd.Series:
    """Return 1 where more than half of a question's answers are correct, all seeds together, else 0.

    Indexed by suite and question; NaN where no answer has a verdict.
    """
    taken = samples[(samples["arm"] == arm) & samples["seed"].isin(seeds)]
    shares = taken.groupby(["suite", "question"], observed=True)["earned"].mean()
    return (shares > 0.5).astype("float64").where(shares.notna())


def state_of(records: Records, arm: str) -> str:
    """Return in a word what became of an arm's runs where none is finished; empty where one is."""
    states = records.runs.loc[records.runs["arm"] == arm, "state"]
    if (states == "finished").any():
        return ""
    return next((state for state in ("failed", "damaged") if (states == state).any()), "missing")
