"""The tables of a comparison as Markdown and CSV; every word is fixed or computed from the records."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

from evaluation.comparing.cells import Cell
from evaluation.comparing.solves import PairSolves
from evaluation.markdown import markdown_table
from evaluation.statistics.intervals import Interval

NOTHING = "n/a"
LEFT = ("difference", "suite", "family", "verdict", "level", "equivalence")

Row = Mapping[str, str]


def difference_rows(cells: Sequence[Cell], margin: float | None) -> list[Row]:
    """Return the rows of the main table, in percent points."""
    return [_difference_row(cell, margin) for cell in cells]


def solve_rows(solves: Sequence[PairSolves]) -> list[Row]:
    """Return the rows of the table of exclusive solves: of each suite its levels, then all together."""
    return [
        {
            "difference": each.pair.title,
            "suite": each.suite,
            "level": "all" if row.level is None else str(row.level),
            "questions": f"{row.questions:,}",
            "only B": f"{row.only_ours:,}",
            "only A": f"{row.only_theirs:,}",
            "p (exact McNemar)": p_value(row.p),
            "p (Holm)": "–" if row.level is None else p_value(row.p_holm),
        }
        for each in solves
        for row in (*each.found.levels, each.found.overall)
    ]


def as_markdown(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table."""
    columns = list(rows[0])
    lines = [columns, *[[row[column] for column in columns] for row in rows]]
    return markdown_table(lines, LEFT)


def difference_csv(cells: Sequence[Cell]) -> str:
    """Return the main table with full precision; scores and differences in percent points."""
    return _csv([_difference_record(cell) for cell in cells])


def solves_csv(solves: Sequence[PairSolves]) -> str:
    """Return the exclusive solves with full precision."""
    return _csv(
        [
            {
                "method": each.pair.method.name,
                "baseline": each.pair.baseline.name,
                "suite": each.suite,
                "level": "all" if row.level is None else row.level,
                "questions": row.questions,
                "only_method": row.only_ours,
                "only_baseline": row.only_theirs,
                "p": row.p,
                "p_holm": row.p_holm,
                "p_levels_differ": each.found.p_levels_differ,
            }
            for each in solves
            for row in (*each.found.levels, each.found.overall)
        ]
    )


def points(share: float) -> str:
    """Return a share in percent, with a true minus."""
    # z: what rounds to zero has no sign.
    return NOTHING if math.isnan(share) else f"{100 * share:z.1f}".replace("-", "−")


def signed(share: float) -> str:
    """Return a difference in percent points, with its sign."""
    text = points(share)
    return text if text.startswith("−") or text in (NOTHING, "0.0") else f"+{text}"


def p_value(p: float) -> str:
    """Return a p-value to three decimals."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def bounds(interval: Interval) -> str:
    """Return the ends of a difference's interval."""
    return NOTHING if math.isnan(interval.low) else f"{signed(interval.low)} to {signed(interval.high)}"


def _difference_row(cell: Cell, margin: float | None) -> Row:
    found = cell.comparison
    row = {
        "difference": cell.pair.title,
        "suite": cell.title,
        "A": points(cell.theirs),
        "B": points(cell.ours),
        "B − A": f"{signed(found.difference.mean)} ± {points(found.difference.standard_error)}",
        "95 % (t)": bounds(found.interval),
        "95 % (bootstrap)": bounds(cell.bootstrap),
        "p": NOTHING if math.isnan(found.p) else f"{p_value(found.p)} ({found.test})",
        "p (Holm)": p_value(cell.p_holm),
        "family": cell.family,
        "questions": f"{found.questions:,}",
        "only B / only A": f"{found.only_ours:,} / {found.only_theirs:,}",
        "verdict": cell.verdict,
    }
    if margin is not None:
        row["equivalence"] = _equivalence(cell, margin)
    return row


def _equivalence(cell: Cell, margin: float) -> str:
    verdict: str = cell.equivalence_verdict
    if verdict == "not tested":
        return verdict
    if verdict == "equivalent":
        verdict = f"equivalent within {100 * margin:g} points"
    return f"{verdict} (p {p_value(cell.p_equivalent_holm)})"


def _difference_record(cell: Cell) -> dict[str, object]:
    pair, found, margin = cell.pair, cell.comparison, cell.equivalence
    record: dict[str, object] = {
        "method": pair.method.name,
        "baseline": pair.baseline.name,
        "suite": cell.title,
        "suites": " ".join(cell.suites),
        "family": cell.family,
        "seeds": found.seeds,
        "questions": found.questions,
        "questions_left_out": cell.left_out,
        "only_method": found.only_ours,
        "only_baseline": found.only_theirs,
        "baseline_points": 100 * cell.theirs,
        "method_points": 100 * cell.ours,
        "difference_points": 100 * found.difference.mean,
        "se_points": 100 * found.difference.standard_error,
        "degrees": found.difference.degrees,
        "t_low_points": 100 * found.interval.low,
        "t_high_points": 100 * found.interval.high,
        "bootstrap_low_points": 100 * cell.bootstrap.low,
        "bootstrap_high_points": 100 * cell.bootstrap.high,
        "p": found.p,
        "test": found.test,
        "p_holm": cell.p_holm,
        "verdict": cell.verdict,
    }
    if margin is not None:
        record |= {
            "margin_points": 100 * margin.margin,
            "p_equivalent": margin.p,
            "p_equivalent_holm": cell.p_equivalent_holm,
            "equivalence": cell.equivalence_verdict,
        }
    return record


def _csv(records: Sequence[Mapping[str, object]]) -> str:
    """Return records as CSV; what could not be computed is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({key: "" if value != value else value for key, value in record.items()})
    return text.getvalue()
