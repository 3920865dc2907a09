"""What `python -m evaluation.compare` does."""

from __future__ import annotations

import math
import re
from pathlib import Path

from evaluation.comparing.cells import compare_pairs
from evaluation.comparing.command import Command
from evaluation.comparing.forest import write_forest
from evaluation.comparing.methods import ComparisonError, Method, read_methods
from evaluation.comparing.metrics import parse_metric
from evaluation.comparing.notes import difference_notes, equivalence_note, solve_notes
from evaluation.comparing.pairing import pair
from evaluation.comparing.solves import PairSolves, pair_solves
from evaluation.comparing.tables import (
    as_markdown,
    difference_csv,
    difference_rows,
    solve_rows,
    solves_csv,
)
from evaluation.markdown import escape_markdown

RESULTS = Path("results/comparisons")
_LONGEST_FOLDER = 120


def carry_out(command: Command) -> str:
    """Compare evaluations, write tables and figure, and return the tables.

    Raises:
        ComparisonError: The evaluations cannot be compared.
        ValueError: A record is damaged or not finished.
    """
    metric = parse_metric(command.metric)
    margin = _margin(command.margin)
    baseline, *others = read_methods(command.evaluations)
    pairs = [pair(baseline, other, despite_protocol=command.despite_protocol) for other in others]
    cells = compare_pairs(pairs, metric, margin)
    solves = pair_solves(pairs)
    notes = difference_notes(cells, pairs, metric)
    if margin is not None:
        notes.append(equivalence_note(margin))
    parts = [
        f"# Compared with {escape_markdown(baseline.name)}",
        as_markdown(difference_rows(cells, margin)),
        _listed(notes),
        *_solve_parts(solves),
        f"## Reproduce\n\n```\n{command.again()}\n```",
    ]
    text = "\n\n".join(parts) + "\n"
    directory = command.output or RESULTS / folder_name(baseline, others)
    directory.mkdir(parents=True, exist_ok=True)
    texts = {"comparison.md": text, "comparison.csv": difference_csv(cells)}
    if solves:
        texts["exclusive_solves.csv"] = solves_csv(solves)
    else:
        # Those of an earlier comparison would be taken for this one's.
        (directory / "exclusive_solves.csv").unlink(missing_ok=True)
    for name, content in texts.items():
        (directory / name).write_text(content, encoding="utf-8", newline="\n")
    write_forest(cells, metric, margin, directory)
    return text


def folder_name(baseline: Method, others: list[Method]) -> str:
    """Return the name of the folder that a comparison goes to by default."""
    name = f"{'+'.join(other.name for other in others)}-vs-{baseline.name}"
    return re.sub(r"[^\w.+=-]+", "--", name)[:_LONGEST_FOLDER].strip(".")


def _margin(points: float | None) -> float | None:
    if points is None:
        return None
    if not (0 < points <= 100 and math.isfinite(points)):
        raise ComparisonError(f"--margin {points} is not above 0 and at most 100 points")
    return points / 100


def _solve_parts(solves: list[PairSolves]) -> list[str]:
    if not solves:
        return []
    return [
        "## Exclusive solves by level",
        as_markdown(solve_rows(solves)),
        _listed(solve_notes(solves)),
    ]


def _listed(notes: list[str]) -> str:
    return "\n".join(f"- {escape_markdown(note)}" for note in notes)
