"""The lines under the tables: what the columns mean here, and what the records differ in."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.comparing.cells import ALPHA, Cell
from evaluation.comparing.methods import Method
from evaluation.comparing.metrics import Metric
from evaluation.comparing.pairing import Pair
from evaluation.comparing.remarks import protocol_notes, record_notes
from evaluation.comparing.solves import UNTOLD, PairSolves
from evaluation.comparing.tables import p_value
from evaluation.protocols import CONTAINED


def difference_notes(cells: Sequence[Cell], pairs: Sequence[Pair], metric: Metric) -> list[str]:
    """Return the lines under the main table."""
    lines = [
        f"A: {pairs[0].baseline.name}; B: the other one. Scores are {metric.name} in percent, paired by "
        "question; B − A in percent points ± one standard error. Only B / only A: questions that B or A "
        "scores higher on.",
        *_unit_notes(pairs),
        *protocol_notes(pairs),
        *_family_notes(cells),
        *_average_notes(cells),
        *record_notes(cells, pairs, metric),
    ]
    if any(cell.verdict == "not tested" for cell in cells):
        lines.append("Not tested: one question, or differences that are all alike, give no error.")
    return lines


def equivalence_note(margin: float) -> str:
    """Return what the column of equivalence says."""
    return (
        f"Equivalence: two one-sided t tests against ±{100 * margin:g} points, p corrected by Holm's method "
        f"in the same families; equivalent if p ≤ {ALPHA:g}, else different if the verdict is higher or "
        "lower, else undecided."
    )


def solve_notes(solves: Sequence[PairSolves]) -> list[str]:
    """Return the lines under the table of exclusive solves."""
    several = any(_answers(each.pair, each.suite) > 1 for each in solves)
    meaning = (
        "more than half of its answers are correct, those of all seeds together" if several else "correct"
    )
    lines = [
        f"Solved: {meaning}. Only B: solved by B and not by A. p: exact McNemar's test of the two numbers; "
        "Holm: for the levels of one suite and one difference.",
    ]
    if any(row.level == UNTOLD for each in solves for row in each.found.levels):
        lines.append(f"Level {UNTOLD}: the data give none.")
    for each in solves:
        p = each.found.p_levels_differ
        if p == p:
            lines.append(
                f"{each.pair.title} on {each.suite}: p {p_value(p)} of an equal share of B among exclusive "
                "solves at all levels (Fisher–Freeman–Halton)."
            )
    return lines


def _unit_notes(pairs: Sequence[Pair]) -> list[str]:
    """Return what was compared: checkpoints, or methods over seeds."""
    lines = []
    single = [pair for pair in pairs if len(pair.method.runs) == 1]
    if single:
        lines.append(
            "One seed each, so that two checkpoints are compared, not two methods; errors are for new "
            f"questions and say nothing of other trainings{_of(_titles(single), len(single) < len(pairs))}."
        )
    crossed = [pair for pair in pairs if pair not in single]
    if crossed:
        seeds = ", ".join(map(str, crossed[0].baseline.seeds))
        lines.append(
            f"Paired by seed, too ({seeds}); SE, t interval and p are for new questions and new seeds, the "
            "bootstrap interval for these checkpoints on new questions"
            f"{_of(_titles(crossed), len(crossed) < len(pairs))}."
        )
    for method in _methods(pairs):
        weights = {run.header.policy.get("sha256") for run in method.runs}
        if len(method.runs) > 1 and len(weights) == 1 and None not in weights:
            lines.append(
                f"{method.name}: all seeds have the same weights; they are samplings of one checkpoint, not "
                "trainings."
            )
    return lines + [f"{pair.title}: both have the same weights." for pair in single if _same_weights(pair)]


def _same_weights(pair: Pair) -> bool:
    (_, first), (_, second) = pair.runs
    weights = first.header.policy.get("sha256")
    return weights is not None and weights == second.header.policy.get("sha256")


def _family_notes(cells: Sequence[Cell]) -> list[str]:
    counts = {
        family: sum(cell.family == family and cell.comparison.p == cell.comparison.p for cell in cells)
        for family in ("primary", "suites")
    }
    second = (
        f", and apart from them over the {_tests(counts['suites'])} of suites" if counts["suites"] else ""
    )
    return [
        "p: two-sided, of no difference. p (Holm): corrected over the primary family of all differences in "
        f"this table, {_tests(counts['primary'])} (averages, and suites that are alone on their side of the "
        f"training distribution){second}. Verdict: higher or lower if p (Holm) ≤ {ALPHA:g}, else not told "
        "apart, which does not mean equal. Intervals are not corrected."
    ]


def _tests(count: int) -> str:
    return "one test" if count == 1 else f"{count} tests"


def _average_notes(cells: Sequence[Cell]) -> list[str]:
    over: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for cell in cells:
        if cell.is_average:
            over.setdefault(cell.title, {}).setdefault(cell.suites, []).append(cell.pair.title)
    lines = [
        f"{title.capitalize()}{_of(titles, len(kinds) > 1)}: equal weights for {', '.join(suites)}."
        for title, kinds in over.items()
        for suites, titles in kinds.items()
    ]
    there = {cell.title for cell in cells}
    return lines + [
        f"Averages leave {inner} out: its questions are all in {outer}."
        for inner, outer in CONTAINED.items()
        if inner in there and outer in there
    ]


def _methods(pairs: Sequence[Pair]) -> list[Method]:
    return [pairs[0].baseline, *[pair.method for pair in pairs]]


def _answers(pair: Pair, suite: str) -> int:
    """Return the most answers to a question, all seeds of a method together."""
    methods = (pair.baseline, pair.method)
    return max(sum(run.header.suites[suite].samples for run in method.runs) for method in methods)


def _titles(pairs: Sequence[Pair]) -> list[str]:
    return [pair.title for pair in pairs]


def _of(titles: Sequence[str], needed: bool) -> str:
    """Return what a line is about, where it is not about all differences."""
    return f" ({', '.join(titles)})" if needed else ""
