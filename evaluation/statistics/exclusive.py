"""Exclusive solves: the questions that one policy solves and another does not, by level of difficulty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.statistics.comparisons import mcnemar
from evaluation.statistics.scores import Array, holm


class ExclusiveRow(NamedTuple):
    """Exclusive solves at one level.

    Args:
        level: Its name; None is all levels together.
        questions: That have a verdict of both policies.
        only_ours: Solved by ours and not by theirs.
        only_theirs: Solved by theirs and not by ours.
        p: Exact McNemar's of the two numbers.
        p_holm: p corrected for the number of levels; NaN for all levels together, which is one test.
    """

    level: int | str | None
    questions: int
    only_ours: int
    only_theirs: int
    p: float
    p_holm: float


class ExclusiveSolves(NamedTuple):
    """Exclusive solves of each level, of all together, and whether the effect depends on the level.

    Args:
        levels: In ascending order.
        overall: All levels together.
        p_levels_differ: Fisher–Freeman–Halton's exact test of "ours has the same share of the exclusive
            solves at every level"; NaN where fewer than two levels have any.
    """

    levels: tuple[ExclusiveRow, ...]
    overall: ExclusiveRow
    p_levels_differ: float


def exclusive_solves(
    ours: Array, theirs: Array, levels: Sequence[int] | Sequence[str], *, seed: int = 0
) -> ExclusiveSolves:
    """Count the questions that only one policy solves, by level, and test each level and their difference.

    One level's p says whether the policies differ there. That one level's p is small and another's is not
    does not mean that the effect differs between them: `p_levels_differ` tests that.

    See, for the table, Towards a Unified View of Large Language Model Post-Training, Lv et al., 2025
    (https://arxiv.org/abs/2509.04419), Table 4; for the tests, `mcnemar`, `holm`, and Note on an Exact
    Treatment of Contingency, Goodness of Fit and Other Problems of Significance, Freeman and Halton, 1951.

    Args:
        ours: For each question 1 solved, 0 not, NaN no verdict: a greedy answer, one sample or a majority.
        theirs: Likewise, the same questions.
        levels: The level of each question; numbers or names, sorted.
        seed: Of the random tables that the last test takes where there are more than two levels.

    Raises:
        ValueError: Lengths differ, or a value is neither 0, 1 nor NaN.
    """
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if not len(ours) == len(theirs) == len(levels):
        raise ValueError(f"{len(ours)} and {len(theirs)} questions and {len(levels)} levels are not as many")
    names, of = np.unique(np.asarray(levels), return_inverse=True)
    rows = [_row(name, ours[of == index], theirs[of == index]) for index, name in enumerate(names.tolist())]
    corrected = holm([row.p for row in rows])
    rows = [row._replace(p_holm=p) for row, p in zip(rows, corrected, strict=True)]
    return ExclusiveSolves(tuple(rows), _row(None, ours, theirs), _levels_differ(rows, seed))


def _row(level: int | str | None, ours: Array, theirs: Array) -> ExclusiveRow:
    found = mcnemar(ours, theirs)
    questions = int((~np.isnan(ours - theirs)).sum())
    return ExclusiveRow(level, questions, found.only_ours, found.only_theirs, found.p, math.nan)


def _levels_differ(rows: Sequence[ExclusiveRow], seed: int) -> float:
    table = [[row.only_ours, row.only_theirs] for row in rows if row.only_ours + row.only_theirs]
    if len(table) < 2:
        return math.nan
    if len(table) == 2:
        return float(stats.fisher_exact(table).pvalue)
    method = stats.MonteCarloMethod(n_resamples=9999, rng=np.random.default_rng(seed))
    # For some tables SciPy returns an array of one number.
    return float(np.asarray(stats.fisher_exact(table, method=method).pvalue).item())
