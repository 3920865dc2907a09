"""What stands behind a number of a study's table, from records alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.statistics.scores import answered
from studies.catalog import UsageError, known
from studies.reporting.answers import answers_of
from studies.reporting.cells import entries_of
from studies.reporting.json_files import DamagedRecordError, read_object
from studies.reporting.parts import Context
from studies.reporting.records import Records, read_records
from studies.reporting.report import reproduce_command, suite_sides
from studies.reporting.summaries import columns, samples_of
from studies.tracing.runs import describe_runs, shared

_COMMAND = re.compile(r"^## Reproduce\n+```\n(.*?)\n```", re.MULTILINE | re.DOTALL)


def trace(folder: Path, arm: str, suite: str) -> dict[str, Any]:
    """Return what stands behind an arm's score on a suite, or on an average of suites, as JSON values.

    Raises:
        UsageError: There are no records of a study, or no such arm or suite; the nearest names are told.
    """
    try:
        own = read_object(folder / "study.json")
        records = read_records(folder)
    except DamagedRecordError as error:
        raise UsageError(f"{folder}: {error}") from error
    study, context = records.study, Context(records, suite_sides(records))
    known("arm", arm, study.arms)
    groups = columns(study.suites, context.distributions)
    column = _column(suite, groups)
    summary = context.summary
    entry = entries_of(summary[(summary["arm"] == arm) & (summary["suite"] == column)])[0]
    runs = describe_runs(records, arm)
    scores = _seed_scores(records, arm, groups[column])
    for run in runs:
        run["score"] = scores.get(run["seed"])
    return {
        "study": study.name,
        "folder": str(folder),
        "runs_in": str(records.directory),
        "arm": arm,
        "column": column,
        "number": _number(entry, study.baselines.get(arm)),
        "suites": [_suite(records, arm, name) for name in groups[column]],
        "protocol": _protocol(study.runs[arm]["evaluation"]),
        "grader": shared(runs, "grader"),
        "provenance": {key: shared(runs, key) for key in ("commit", "modified", "versions", "machine")},
        "audit": [records.audit, *records.audit_notes],
        "command": _command(folder, records, own),
        "configuration": dict(_flat(study.runs[arm])),
        "runs": runs,
        "problems": [problem for problem in records.problems if problem.startswith((f"{arm}, ", "suite"))],
        "complete": all(run["state"] == "finished" for run in runs),
    }


def _column(named: str, groups: Mapping[str, Sequence[str]]) -> str:
    """Return a column by its own name or as tables write it."""
    written = {name.replace("_", " "): name for name in groups}
    name = written.get(named.replace("_", " "), named)
    return known("suite", name, groups)


def _number(entry: Mapping[str, Any], baseline: str | None) -> dict[str, Any]:
    keys = ("mean", "se", "questions", "samples", "seeds", "seeds_wanted", "status")
    told = {key: _plain(entry[key]) for key in keys}
    if baseline is not None:
        compared = {key: _plain(entry[key]) for key in ("difference", "difference_se", "p_holm")}
        told["difference"] = {"baseline": baseline, **compared}
    return told


def _plain(value: Any) -> Any:  # noqa: ANN401
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _seed_scores(records: Records, arm: str, suites: Sequence[str]) -> dict[int, float]:
    """Return each seed's mean over suites of equal weight, over the same questions as the table's."""
    answers = answers_of(records.samples, arm)
    if not set(suites) <= set(answers):
        return {}
    means = []
    for suite in suites:
        frame = answers[suite]
        means.append(pd.Series(answered(frame.to_numpy()).mean(axis=1), frame.index))
    scores = pd.concat(means, axis=1).mean(axis=1, skipna=False)
    return {int(str(seed)): float(score) for seed, score in scores.items() if math.isfinite(score)}


def _suite(records: Records, arm: str, suite: str) -> dict[str, Any]:
    """Return what a suite is, as each of the arm's runs has it; a list where they differ."""
    taken = records.suites
    rows = taken[(taken["arm"] == arm) & (taken["suite"] == suite)] if len(taken) else taken
    told: dict[str, Any] = {"suite": suite}
    for key in ("questions", "version", "split", "sha256", "unlisted"):
        values = list(dict.fromkeys(map(_plain, rows[key]))) if len(rows) else [None]
        told[key] = values[0] if len(values) == 1 else values
    return told | {"samples": samples_of(records.study.runs[arm]["evaluation"], suite)}


def _protocol(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("suites", "samples", "suite_samples")
    return {key: value for key, value in evaluation.items() if key not in left_out}


def _command(folder: Path, records: Records, own: Mapping[str, Any]) -> str:
    """Return the command that table.md names; without one, that of the study as it is."""
    table = folder / "table.md"
    found = _COMMAND.search(table.read_text(encoding="utf-8")) if table.is_file() else None
    if found:
        return found[1]
    scales = list(dict.fromkeys(records.study.runs[arm]["scale"] for arm in records.study.arms))
    return reproduce_command(str(own.get("study", records.study.name)), scales, records.directory, ())


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        inner = isinstance(value, Mapping) and value
        pairs += _flat(value, f"{prefix}{key}.") if inner else [(f"{prefix}{key}", value)]
    return pairs
