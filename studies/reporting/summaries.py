"""The numbers of a study's tables: one row for each arm and suite, or average over suites."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from evaluation.grading import OUTCOMES
from evaluation.protocols import averaged
from evaluation.statistics.scores import answered, holm, mean_score
from studies.reporting.answers import Answers, answers_of, p_of, paired
from studies.reporting.records import Records
from studies.reporting.spending import refusals

Distribution = Literal["in_distribution", "out_of_distribution"]
_COUNTS = [
    "questions",
    "questions_left_out",
    "samples",
    "seeds",
    "seeds_wanted",
    "steps",
    *OUTCOMES,
    "truncated",
]


def averages(suites: Sequence[str], distributions: Mapping[str, Distribution]) -> dict[str, tuple[str, ...]]:
    """Return the suites that each average is over, by its name; of all suites where none is marked."""
    unknown = sorted(set(distributions.values()) - {"in_distribution", "out_of_distribution"})
    if unknown:
        raise ValueError(f"distributions {unknown} are neither 'in_distribution' nor 'out_of_distribution'")
    suites = averaged(suites)
    groups = {
        f"average {kind}": tuple(suite for suite in suites if distributions.get(suite) == kind)
        for kind in ("in_distribution", "out_of_distribution")
    }
    marked = {name: group for name, group in groups.items() if group}
    return marked or {"average": tuple(suites)}


def columns(suites: Sequence[str], distributions: Mapping[str, Distribution]) -> dict[str, tuple[str, ...]]:
    """Return the suites behind each column of scores: each suite alone, then the averages."""
    return {suite: (suite,) for suite in suites} | averages(suites, distributions)


def summarize(
    records: Records,
    distributions: Mapping[str, Distribution],
    answers: Mapping[str, Answers] | None = None,
) -> pd.DataFrame:
    """Return the tidy table: arms in the study's order, in each its suites in order, then the averages.

    Scores and shares are in [0, 1]. Columns: arm, suite, mean, se, degrees (of freedom, of se), questions
    (that the mean is over), questions_left_out (some seed has no verdict on them), samples (a question; none
    where suites differ), seeds (finished), seeds_wanted, steps, a count for each outcome, truncated,
    offline_rows, offline_tokens, difference (to the baseline), difference_se, difference_seeds, p_holm,
    status, audit.
    """
    study = records.study
    groups = columns(study.suites, distributions)
    answers = answers or {arm: answers_of(records.samples, arm) for arm in study.arms}
    refused = refusals(records)
    rows = []
    for arm in study.arms:
        shared: dict[str, Any] = {
            "arm": arm,
            "status": status(records, arm),
            "audit": records.audit,
        }
        shared |= _training(records, arm)
        taken = records.samples[records.samples["arm"] == arm]
        for name, suites in groups.items():
            against = study.baselines.get(arm, "")
            baseline = {} if refused.keys() & {arm, against} else answers.get(against, {})
            scored = _scores(answers[arm], suites) | _differences(answers[arm], baseline, suites)
            asked = {samples_of(study.runs[arm]["evaluation"], suite) for suite in suites}
            samples = asked.pop() if len(asked) == 1 else pd.NA
            rows.append(shared | {"suite": name, "samples": samples} | scored | _counts(taken, suites))
    table = pd.DataFrame(rows)
    for _, column in table.groupby("suite"):
        table.loc[column.index, "p_holm"] = holm(list(column["p"]))
    first = ["arm", "suite", "mean", "se", "degrees", *_COUNTS, "offline_rows", "offline_tokens"]
    last = ["difference", "difference_se", "difference_seeds", "p_holm", "status", "audit"]
    return table[first + last].astype(dict.fromkeys([*_COUNTS, "difference_seeds"], "Int64"))


def samples_of(evaluation: Mapping[str, Any], suite: str) -> int:
    """Return how many answers a protocol asks to each question of a suite."""
    return int(evaluation.get("suite_samples", {}).get(suite, evaluation["samples"]))


def status(records: Records, arm: str) -> str:
    """Return "complete", or what became of the runs that are not finished."""
    runs = records.runs[records.runs["arm"] == arm]
    told = []
    for state in ("failed", "damaged"):
        for reason, same in runs[runs["state"] == state].groupby("reason", sort=False):
            told.append(f"{state} {len(same)} of {len(runs)} ({_seeds(same['seed'])}): {reason}")
    missing = runs[runs["state"].isin(("missing", "running"))]
    if len(missing):
        told.append(f"missing {len(missing)} of {len(runs)} ({_seeds(missing['seed'])})")
    return "; ".join(told) or "complete"


def _seeds(seeds: Iterable[int]) -> str:
    listed = [str(seed) for seed in seeds]
    return f"seed{'s' if len(listed) > 1 else ''} {', '.join(listed)}"


def _scores(answers: Answers, suites: Sequence[str]) -> dict[str, float]:
    if not set(suites) <= set(answers):
        return dict.fromkeys(("mean", "se", "degrees", "questions", "questions_left_out"), math.nan)
    arrays = [answers[suite].to_numpy() for suite in suites]
    score = mean_score(arrays)
    kept = sum(answered(array).shape[1] for array in arrays)
    left_out = sum(array.shape[1] for array in arrays) - kept
    values = {"mean": score.mean, "se": score.standard_error, "degrees": score.degrees}
    return values | {"questions": kept, "questions_left_out": left_out}


def _differences(answers: Answers, baseline: Answers, suites: Sequence[str]) -> dict[str, float]:
    difference, seeds = paired(answers, baseline, suites)
    return {
        "difference": difference.mean,
        "difference_se": difference.standard_error,
        "difference_seeds": seeds if not math.isnan(difference.mean) else math.nan,
        "p": p_of(difference, seeds),
    }


def _counts(samples: pd.DataFrame, suites: Sequence[str]) -> dict[str, float]:
    """Return how many samples came to each outcome and how many were truncated; NaN where none was taken."""
    taken = samples[samples["suite"].isin(suites)] if len(samples) else samples
    if taken.empty:
        return dict.fromkeys([*OUTCOMES, "truncated"], math.nan)
    counted = taken["outcome"].astype(str).value_counts()
    outcomes = {outcome: int(counted.get(outcome, 0)) for outcome in OUTCOMES}
    return outcomes | {"truncated": int(taken["truncated"].sum())}


def _training(records: Records, arm: str) -> dict[str, float]:
    """Return seeds, steps, and the demonstrations' shares of all that the runs trained on.

    offline_rows = mean over seeds of Σ_t share_t · rows_t / Σ_t rows_t; offline_tokens likewise. Steps
    without a share (nothing selected) have no weight.
    """
    runs = records.runs[records.runs["arm"] == arm]
    finished = runs[runs["state"] == "finished"]
    steps = finished["steps"].max() if len(finished) else math.nan
    values = {"seeds": len(finished), "seeds_wanted": len(runs), "steps": steps}
    metrics = records.metrics[records.metrics["arm"] == arm]
    return values | {
        "offline_rows": _offline_share(metrics, "data/offline_row_share", "data/rows"),
        "offline_tokens": _offline_share(metrics, "data/offline_token_share", "data/tokens"),
    }


def _offline_share(metrics: pd.DataFrame, share: str, weight: str) -> float:
    shares = []
    for _, run in metrics.sort_values(["seed", "step"]).groupby("seed") if len(metrics) else ():
        known = run[run[share].notna() & (run[weight] > 0)]
        if len(known):
            shares.append(float((known[share] * known[weight]).sum() / known[weight].sum()))
    return float(np.mean(shares)) if shares else math.nan
