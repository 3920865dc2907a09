"""What a study leaves behind when its runs are done: tables and a figure, from run directories alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from studies.directories import read_json
from studies.reporting.figures import write_dynamics
from studies.reporting.records import Records, read_records
from studies.reporting.summaries import Distribution
from studies.reporting.tables import write_tables


def write_report(folder: Path, reproduce: str) -> str:
    """Write the tables and the figure of a study's folder; return the table as Markdown.

    Args:
        folder: The study's folder.
        reproduce: Command that makes the study again.
    """
    records = read_records(folder)
    markdown, _, _ = write_tables(records, reproduce, suite_sides(records))
    write_dynamics(records)
    return markdown.read_text(encoding="utf-8")


def suite_sides(records: Records) -> dict[str, Distribution]:
    """Return which side of the training distribution each suite was marked to be on when it was asked."""
    if records.suites.empty:
        return {}
    marked = records.suites.dropna(subset=["split"]).drop_duplicates("suite")
    return dict(zip(marked["suite"], marked["split"], strict=True))


def reproduce_command(study: str, scale: str, folder: Path, changes: Sequence[str]) -> str:
    """Return the command that makes a study's table, the same however often it was interrupted."""
    words = ["python", "-m", "studies.run", study, "--scale", scale]
    seeds = (read_json(folder / "study.json") or {})["seeds"]
    if seeds == list(range(len(seeds))):
        words += ["--seeds", str(len(seeds))]
    for change in sorted(changes):
        words += ["--set", change]
    return shlex.join(words)
