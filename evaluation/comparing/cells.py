"""The numbers of a comparison: one cell for each pair and suite, or average over suites."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evaluation.comparing.methods import ComparisonError
from evaluation.comparing.metrics import Metric, method_scores
from evaluation.comparing.pairing import Pair
from evaluation.protocols import averaged
from evaluation.statistics.comparisons import Comparison, bootstrap_interval, compare
from evaluation.statistics.equivalence import Equivalence, equivalence_test
from evaluation.statistics.intervals import Interval
from evaluation.statistics.scores import Array, holm, mean_score

ALPHA, LEVEL = 0.05, 0.95
Family = Literal["primary", "suites"]
Verdict = Literal["higher", "lower", "not told apart", "not tested"]
EquivalenceVerdict = Literal["equivalent", "different", "undecided", "not tested"]
SPLITS: Mapping[str | None, str] = {
    "in_distribution": "average in distribution",
    "out_of_distribution": "average out of distribution",
    None: "average",
}


@dataclass(frozen=True)
class Cell:
    """One difference.

    Args:
        pair: What is compared.
        title: The suite, or what the average is called.
        suites: That it is over.
        family: The p-values that its own is corrected together with.
        theirs: The baseline's score, on the questions that both have one for.
        ours: The other's.
        comparison: Ours − theirs.
        bootstrap: Interval of the difference by resampling questions.
        left_out: Questions that either has no score for.
        equivalence: Against the margin, where one was given.
        p_holm: The comparison's p, corrected.
        p_equivalent_holm: The equivalence's p, corrected likewise.
    """

    pair: Pair
    title: str
    suites: tuple[str, ...]
    family: Family
    theirs: float
    ours: float
    comparison: Comparison
    bootstrap: Interval
    left_out: int
    equivalence: Equivalence | None = None
    p_holm: float = math.nan
    p_equivalent_holm: float = math.nan

    @property
    def is_average(self) -> bool:
        """Whether it is over several suites."""
        return len(self.suites) > 1

    @property
    def verdict(self) -> Verdict:
        """Return what the test says at the level of 5 %, corrected."""
        if math.isnan(self.p_holm):
            return "not tested"
        if self.p_holm > ALPHA:
            return "not told apart"
        return "higher" if self.comparison.difference.mean > 0 else "lower"

    @property
    def equivalence_verdict(self) -> EquivalenceVerdict:
        """Return what the tests against the margin say at the level of 5 %, corrected."""
        if math.isnan(self.p_equivalent_holm):
            return "not tested"
        if self.p_equivalent_holm <= ALPHA:
            return "equivalent"
        return "different" if self.verdict in ("higher", "lower") else "undecided"


def compare_pairs(pairs: Sequence[Pair], metric: Metric, margin: float | None = None) -> list[Cell]:
    """Return all cells: of each pair its suites in order, then its averages.

    Primary are the averages of a pair, and a suite that is alone on its side of the training distribution;
    all other suites are the second family. Each family is corrected by Holm's method over all pairs.

    Args:
        pairs: With one baseline.
        metric: Of each question.
        margin: The largest difference that is of no interest, as a share.

    Raises:
        ComparisonError: A pair has no question with a score from both.
    """
    cells = [cell for pair in pairs for cell in _pair_cells(pair, metric, margin)]
    for family in ("primary", "suites"):
        members = [index for index, cell in enumerate(cells) if cell.family == family]
        p = holm([cells[index].comparison.p for index in members])
        tests = [cells[index].equivalence for index in members]
        p_equivalent = holm([math.nan if test is None else test.p for test in tests])
        for index, own, own_equivalent in zip(members, p, p_equivalent, strict=True):
            cells[index] = replace(cells[index], p_holm=own, p_equivalent_holm=own_equivalent)
    return cells


def _pair_cells(pair: Pair, metric: Metric, margin: float | None) -> list[Cell]:
    scores = {suite: _suite_scores(pair, suite, metric) for suite in pair.questions}
    usable = {suite: found for suite, found in scores.items() if found[0].shape[1]}
    if not usable:
        raise ComparisonError(
            f"no question has a score of {metric.name} from both {pair.method.name} and "
            f"{pair.baseline.name}: it has too few graded answers; take a smaller K of --metric, or evaluate "
            "with more --samples"
        )
    groups = _sides(pair, list(usable))
    alone = {suites[0] for suites in groups.values() if len(suites) == 1}
    cells = [
        _cell(pair, suite, {suite: usable[suite]}, "primary" if suite in alone else "suites", margin)
        for suite in usable
    ]
    for title, suites in groups.items():
        if len(suites) > 1:
            cells.append(_cell(pair, title, {suite: usable[suite] for suite in suites}, "primary", margin))
    return cells


def _sides(pair: Pair, suites: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the suites of each side of the training distribution, none that another one contains."""
    sides = {
        title: averaged([suite for suite in suites if pair.splits[suite] == split])
        for split, title in SPLITS.items()
    }
    found = {title: group for title, group in sides.items() if group}
    if "average" in found and len(found) > 1:
        found["average of other suites"] = found.pop("average")
    return found


def _suite_scores(pair: Pair, suite: str, metric: Metric) -> tuple[Array, Array, int]:
    """Return ours and theirs on the questions that all have a score for, and how many are left out."""
    questions = pair.questions[suite]
    ours = method_scores(pair.method, suite, questions, metric)
    theirs = method_scores(pair.baseline, suite, questions, metric)
    kept = ~np.isnan(np.concatenate([ours, theirs])).any(axis=0)
    return ours[:, kept], theirs[:, kept], int((~kept).sum())


def _cell(
    pair: Pair,
    title: str,
    scores: Mapping[str, tuple[Array, Array, int]],
    family: Family,
    margin: float | None,
) -> Cell:
    ours, theirs, left_out = (list(part) for part in zip(*scores.values(), strict=True))
    comparison = compare(ours, theirs, LEVEL)
    return Cell(
        pair,
        title,
        tuple(scores),
        family,
        mean_score(theirs).mean,
        mean_score(ours).mean,
        comparison,
        bootstrap_interval([mine - other for mine, other in zip(ours, theirs, strict=True)], LEVEL),
        sum(left_out),
        None if margin is None else equivalence_test(comparison.difference, margin, ALPHA),
    )
