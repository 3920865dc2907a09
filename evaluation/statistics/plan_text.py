"""What a plan of an evaluation says, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from evaluation.statistics.planning import (
    COUNTS,
    MOST,
    Count,
    Criterion,
    Design,
    PlanError,
    difference_error,
    minimum_difference,
    power,
    smallest,
    with_count,
)
from evaluation.statistics.variances import Variances

FOUND: Literal["found"] = "found"
Reached = Literal["found", "unreached"]
Given = Mapping[Count, int | None]
# AIME, AMC 2023, GPQA Diamond, MATH-500, Olympiad, ARC-c.
QUESTIONS = (30, 40, 198, 500, 675, 1172)
SAMPLES = (1, 2, 4, 8, 16, 32, 64)
USUAL: Mapping[Count, Sequence[int]] = {
    "questions": (500, 1000, 10000),
    "samples": (1, 4, 16, 64),
    "seeds": (3, 10, 30, 100),
}


def answer(
    difference: float | None, given: Given, paired: bool, variances: Variances, criterion: Criterion
) -> tuple[Reached, str]:
    """Return whether what is asked can be had, and the text that says so.

    Args:
        difference: To be seen, in score units; None if only the minimum is asked for.
        given: The numbers that are given; None where one is not.
        paired: Whether both policies answer the same questions.
        variances: See `Variances`.
        criterion: See `Criterion`.
    """
    missing = [count for count in COUNTS if given[count] is None]
    _check(given)
    design = Design(given["questions"] or 2, given["samples"] or 1, given["seeds"] or 1, paired)
    if not missing:
        return FOUND, _of_design(difference, design, variances, criterion)
    if len(missing) > 1 or difference is None:
        return FOUND, _tables(difference, given, design, variances, criterion)
    found = smallest(missing[0], difference, design, variances, criterion)
    if found is None:
        return "unreached", _ways_out(missing[0], difference, design, variances, criterion)
    found_number = f"{missing[0]} needed: {getattr(found, missing[0]):,}"
    return FOUND, f"{found_number}\n\n{_of_design(difference, found, variances, criterion)}"


def _check(given: Given) -> None:
    """Refuse numbers that are given as 0: `or` would take them for not given."""
    for count in COUNTS:
        value, least = given[count], 2 if count == "questions" else 1
        if value is not None and value < least:
            raise PlanError(f"--{count} {value} is too few: {least} is the least")


def _of_design(difference: float | None, design: Design, variances: Variances, criterion: Criterion) -> str:
    error, degrees = difference_error(design, variances)
    lines = [
        f"design: {_design(design)}",
        f"variances: {_variances(design, variances)}",
        f"standard error of the difference: {100 * error:.2f} points"
        + ("" if criterion.normal else f" ({degrees:.0f} degrees of freedom)"),
    ]
    if difference is not None:
        chance = power(difference, design, variances, criterion)
        lines.append(
            f"power to see {_points(difference)}: {chance:.3f} (two-sided alpha {criterion.alpha:g})"
        )
    least = minimum_difference(design, variances, criterion)
    lines.append(f"minimum detectable difference: {_points(least)} (power {criterion.power:g})")
    return "\n".join(lines)


def _tables(
    difference: float | None, given: Given, design: Design, variances: Variances, criterion: Criterion
) -> str:
    columns = QUESTIONS if given["questions"] is None else (given["questions"],)
    rows = SAMPLES if given["samples"] is None else (given["samples"],)
    grid = [[Design(n, k, design.seeds, design.paired) for n in columns] for k in rows]
    least = [[f"{100 * minimum_difference(each, variances, criterion):.1f}" for each in row] for row in grid]
    parts = [
        f"Minimum detectable difference in points (power {criterion.power:g}, alpha {criterion.alpha:g})",
        _table(columns, rows, least),
    ]
    if difference is not None:
        chances = [[f"{power(difference, each, variances, criterion):.2f}" for each in row] for row in grid]
        parts += [f"Power to see {_points(difference)}", _table(columns, rows, chances)]
    seeds = f"{design.seeds} seed{'s' if design.seeds > 1 else ''} a method"
    kind = "the same questions" if design.paired else "different questions"
    return "\n\n".join([*parts, f"{kind}, {seeds}; variances: {_variances(design, variances)}"])


def _table(columns: Sequence[int], rows: Sequence[int], cells: Sequence[Sequence[str]]) -> str:
    lines = [f"{'samples':>7} | " + " ".join(f"{n:>6}" for n in columns) + "  questions"]
    lines.append("-" * 8 + "+" + "-" * (7 * len(columns)))
    lines += [f"{k:>7} | " + " ".join(f"{c:>6}" for c in row) for k, row in zip(rows, cells, strict=True)]
    return "\n".join(lines)


def _ways_out(
    count: Count, difference: float, design: Design, variances: Variances, criterion: Criterion
) -> str:
    """Return why no number of one kind is enough, and what would be."""
    numbers = (2**exponent for exponent in range(1, int(math.log2(MOST))))
    best = min(minimum_difference(with_count(design, count, n), variances, criterion) for n in numbers)
    lines = [
        f"no number of {count} shows {_points(difference)} with power {criterion.power:g}: "
        f"{_limits(count, design, variances)}.",
        f"The smallest difference that any number of {count} shows is {_points(best)}.",
        "What would show it:",
    ]
    for other in COUNTS:
        if other != count and (other != "seeds" or variances.seeds > 0):
            lines += _enough(other, count, difference, design, variances, criterion)
    if len(lines) == 3:
        lines.append("  more of both other numbers, or a larger difference")
    return "\n".join(lines)


def _enough(
    other: Count, count: Count, difference: float, design: Design, variances: Variances, criterion: Criterion
) -> list[str]:
    """Return how many of another number are enough, for usual numbers of the one that isn't."""
    lines = []
    for number in USUAL[count]:
        found = smallest(other, difference, with_count(design, count, number), variances, criterion)
        if found is not None:
            lines.append(f"  {_counted(getattr(found, other), other)} with {_counted(number, count)}")
    return lines


def _limits(count: Count, design: Design, variances: Variances) -> str:
    """Return which numbers leave an error that `count` can't lessen."""
    limits = []
    if count != "questions":
        limits.append(f"{design.questions:,} questions")
    if count != "seeds" and variances.seeds > 0:
        limits.append(f"{design.seeds} seeds")
    return f"{' and '.join(limits)} limit it"


def _counted(number: int, count: Count) -> str:
    return f"{number:,} {count if number != 1 else count.removesuffix('s')}"


def _design(design: Design) -> str:
    kind = "" if design.paired else " for each policy"
    seeds = "1 seed (two checkpoints)" if design.seeds == 1 else f"{design.seeds:,} seeds a method"
    questions, samples = _counted(design.questions, "questions"), _counted(design.samples, "samples")
    return f"{questions}{kind}, {samples} a question, {seeds}"


def _variances(design: Design, variances: Variances) -> str:
    first = f"between {variances.between:g}" if design.paired else f"difficulty {variances.difficulty:g}"
    last = f", seeds {variances.seeds:g}" if variances.seeds > 0 else ""
    return f"{first}, within {variances.within:g}{last}"


def _points(difference: float) -> str:
    number = f"{100 * difference:.3g}"
    return f"{number} point{'' if number == '1' else 's'}"
