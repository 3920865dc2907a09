"""The conformance table: for the terminal, as markdown and as csv."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from studies.conforming.runner import Result, Verdict

HEADER = ("case", "algorithm", "tags", "worst relative error", "verdict")
RESOLUTION = 1e-10
"""Errors below it are rounding, which differs from machine to machine; the table does not."""
NOTE = (
    "Error: largest |ours − theirs| / (1 + |theirs|) over advantages, loss, gradients and returns. A case "
    "passes up to 1e-9; up to 1e-5 where the peer works in float32, and routing up to 1e-6."
)


def cells(result: Result) -> tuple[str, ...]:
    """Return a result's row."""
    verdict = f"{result.verdict}: {result.reason}" if result.reason else str(result.verdict)
    return (result.name, result.algorithm, " ".join(result.tags), _shown(result.error), verdict)


def summary(results: Sequence[Result]) -> str:
    """Return how many cases there are of each verdict."""
    counts = Counter(result.verdict for result in results)
    parts = [f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]]
    return f"{len(results)} cases: {', '.join(parts)}"


def counts(results: Sequence[Result]) -> list[tuple[str, str, int, int]]:
    """Return peer, tag, cases and passed cases, a case of several tags once for each of them."""
    kinds = [(result.peer, tag, result.verdict) for result in results for tag in result.tags or ("–",)]
    groups = Counter((peer, tag) for peer, tag, _ in kinds)
    passed = Counter((peer, tag) for peer, tag, verdict in kinds if verdict is Verdict.PASS)
    return [(*group, size, passed[group]) for group, size in groups.items()]


def as_text(results: Sequence[Result]) -> str:
    """Return the table with aligned columns."""
    rows = [HEADER, *map(cells, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in [*lines, "", summary(results)])


def as_markdown(results: Sequence[Result], command: str) -> str:
    """Return the table as a document that says how it was made."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (HEADER, *map(cells, results))]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "| --- | --- | --- | ---: | --- |")
    return "\n".join(
        [
            "# Conformance",
            "",
            *lines,
            "",
            f"{summary(results)}. {NOTE}",
            "",
            "| From | Tag | Cases | Passed |",
            "| --- | --- | ---: | ---: |",
            *(f"| {peer} | {tag} | {size} | {passed} |" for peer, tag, size, passed in counts(results)),
            "",
            "Reproduce:",
            "",
            f"    {command}",
            "",
        ]
    )


def as_csv(results: Sequence[Result]) -> str:
    """Return the table as comma-separated values, verdict and reason apart."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*HEADER, "in", "reason"])
    for result in results:
        name, algorithm, tags, error, _ = cells(result)
        writer.writerow([name, algorithm, tags, error, result.verdict, result.where, result.reason])
    return stream.getvalue()


def write_tables(results: Sequence[Result], folder: Path, command: str) -> None:
    """Write table.md and table.csv into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(as_markdown(results, command), encoding="utf-8")
    (folder / "table.csv").write_text(as_csv(results), encoding="utf-8")


def _shown(error: float | None) -> str:
    if error is None:
        return ""
    return f"<{RESOLUTION:g}" if error < RESOLUTION else f"{error:.1e}"
