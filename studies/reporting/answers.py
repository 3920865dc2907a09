"""What an arm's runs answered, and how it differs from another arm's answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from evaluation.statistics.scores import Score, average_at_k, paired_difference, two_sided_p

Answers = Mapping[str, pd.DataFrame]
"""For one arm the avg@k by suite: a row for each seed, a column for each question."""


def answers_of(samples: pd.DataFrame, arm: str) -> Answers:
    """Return an arm's avg@k by suite, sorted by seed and question: the order of files does not matter."""
    if samples.empty:
        return {}
    answers = {}
    for suite, part in samples[samples["arm"] == arm].groupby("suite", observed=True):
        keys = [part["seed"], part["question"].astype(str), part["sample"]]
        wide = part["earned"].groupby(keys).first().unstack("sample")
        scores = pd.Series(average_at_k(wide.to_numpy()), wide.index)
        answers[str(suite)] = scores.unstack("question")
    return answers


def paired(answers: Answers, other: Answers, suites: Sequence[str]) -> tuple[Score, int]:
    """Return the paired difference to another arm, over the seeds and questions that both have; the seeds."""
    if not set(suites) <= set(answers) or not set(suites) <= set(other):
        return Score(math.nan, math.nan, math.nan), 0
    pairs = [answers[suite].align(other[suite], join="inner") for suite in suites]
    ours, theirs = ([pair[side].to_numpy() for pair in pairs] for side in (0, 1))
    return paired_difference(ours, theirs), len(pairs[0][0])


def p_of(difference: Score, seeds: int) -> float:
    """Return the p-value; NaN with one seed, which compares two checkpoints, not two methods."""
    return two_sided_p(difference) if seeds > 1 else math.nan
