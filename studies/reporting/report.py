"""What a study leaves behind when its runs are done: tables and a figure, from run directories alone."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.catalog import UsageError
from studies.directories import read_json
from studies.reporting.figures import write_charts
from studies.reporting.page.page import write_page
from studies.reporting.parts import Context
from studies.reporting.records import Records, read_records
from studies.reporting.run_files import DamagedRecordError
from studies.reporting.sections import make_part
from studies.reporting.summaries import Distribution
from studies.reporting.tables import write_tables
from training.run_dir import write_atomically


def write_report(runs: Path, folder: Path, view: Mapping[str, Any] | None, reproduce: str) -> str:
    """Write the tables and figures of a study; return the tables as Markdown.

    Args:
        runs: Folder of the study whose runs are reported on.
        folder: For the files; study.json there will name `runs` if that is another folder.
        view: What is reported and how, as study.json has it; None: as that of `runs` has it.
        reproduce: Command that makes the study again.

    Raises:
        UsageError: There are no records of a study.
    """
    try:
        records = read_records(runs, view)
    except DamagedRecordError as error:
        raise UsageError(f"{runs}: {error}") from error
    context = Context(records, suite_sides(records))
    parts = [make_part(name, context) for name in records.study.sections]
    folder.mkdir(parents=True, exist_ok=True)
    if records.directory.resolve() != folder.resolve():
        place = os.path.relpath(records.directory.resolve(), folder.resolve())
        write_atomically(
            folder / "study.json", json.dumps({**(view or {}), "runs_in": place}, indent=1) + "\n"
        )
    for name, text in (item for part in parts for item in part.files.items()):
        write_atomically(folder / name, text)
    paths = write_tables([section for part in parts for section in part.sections], folder, reproduce)
    charts = [chart for part in parts for chart in part.charts]
    write_charts(charts, folder, records.study.title)
    write_page(context, parts, folder, reproduce)
    return paths["table.md"].read_text(encoding="utf-8")


def suite_sides(records: Records) -> dict[str, Distribution]:
    """Return which side of the training distribution each suite was marked to be on when it was asked."""
    if records.suites.empty:
        return {}
    marked = records.suites.dropna(subset=["split"]).drop_duplicates("suite")
    return dict(zip(marked["suite"], marked["split"], strict=True))


def reproduce_command(study: str, scales: Sequence[str], runs: Path, changes: Sequence[str]) -> str:
    """Return the command that makes a study's table, the same however often it was interrupted."""
    words = ["python", "-m", "studies.run", study]
    for scale in scales:
        words += ["--scale", scale]
    seeds = (read_json(runs / "study.json") or {}).get("seeds")
    if seeds and seeds == list(range(len(seeds))):
        words += ["--seeds", str(len(seeds))]
    for change in sorted(changes):
        words += ["--set", change]
    return shlex.join(words)
