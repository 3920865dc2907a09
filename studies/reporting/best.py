"""Which arm of a column is the best, if the records can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.statistics.scores import holm
from studies.reporting.answers import Answers, p_of, paired
from studies.reporting.cells import heading
from studies.reporting.parts import Cell, Context
from studies.reporting.spending import refusals
from studies.reporting.study_record import StudyRecord
from studies.reporting.summaries import columns

LEVEL = 0.05


def best_cells(context: Context) -> frozenset[Cell]:
    """Return the cells of the main table that hold a best score: one that all others differ from.

    An arm is the best of a column if its mean is the highest and its paired difference to every other arm
    with a score has p ≤ 0.05, corrected by Holm's method for these comparisons. With one seed none is.
    """
    records, study = context.records, context.records.study
    answers = context.answers
    refused = refusals(records)
    cells = set()
    for name, suites in columns(study.suites, context.distributions).items():
        for family in families(study):
            scored = [arm for arm in family if arm not in refused and set(suites) <= set(answers[arm])]
            best = _best({arm: answers[arm] for arm in scored}, suites)
            if best is not None:
                cells.add(Cell(study.arms.index(best), heading(name)))
    return frozenset(cells)


def families(study: StudyRecord) -> list[list[str]]:
    """Return the arms that are compared with each other: all; where there are several baselines, each's."""
    if len(set(study.baselines.values())) < 2:
        return [list(study.arms)]
    found: dict[str, list[str]] = {}
    for arm in study.arms:
        found.setdefault(study.baselines.get(arm, arm), []).append(arm)
    return list(found.values())


def best_note(context: Context, cells: frozenset[Cell]) -> str:
    """Return what bold means, or why nothing is bold."""
    rule = (
        "an arm whose paired difference to every other arm has p ≤ 0.05, corrected by Holm's method for "
        "these comparisons in a column"
    )
    several = len(families(context.records.study)) > 1
    among = " Compared are the arms with the same baseline." if several else ""
    if cells:
        return f"Bold: the best of a column, {rule}; a column without bold has none.{among}"
    return f"Nothing is bold: no column has {rule}; with one seed none can.{among}"


def _best(answers: Mapping[str, Answers], suites: Sequence[str]) -> str | None:
    """Return the arm that every other one is significantly worse than; None where there is none."""
    means = {
        arm: sum(float(np.nanmean(found[suite].to_numpy())) for suite in suites)
        for arm, found in answers.items()
    }
    if len(means) < 2:
        return None
    best = max(means, key=means.__getitem__)
    found = [paired(answers[best], other, suites) for arm, other in answers.items() if arm != best]
    corrected = holm([p_of(difference, seeds) for difference, seeds in found])
    ahead = all(
        difference.mean > 0 and p <= LEVEL for (difference, _), p in zip(found, corrected, strict=True)
    )
    return best if ahead else None
