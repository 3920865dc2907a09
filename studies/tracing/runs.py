"""The runs behind a number: where they are, what made them, whether records are as they were left."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.records import read_header
from studies.directories import read_json, run_directory
from studies.reporting.records import Records
from studies.reporting.run_digests import changed_files

FITS, UNKNOWN = "fits", "no digest was recorded"


def describe_runs(records: Records, arm: str) -> list[dict[str, Any]]:
    """Return one dictionary for each wanted run of an arm, missing ones included."""
    rows = records.runs[records.runs["arm"] == arm]
    return [_run(records.directory, arm, row) for row in rows.to_dict("records")]


def _run(folder: Path, arm: str, row: Mapping[Any, Any]) -> dict[str, Any]:
    directory = _find(folder, arm, int(row["seed"]))
    status = read_json(directory / "status.json") or {}
    config = read_json(directory / "config.json") or {}
    provenance: dict[str, Any] = config.get("provenance") or {}
    return {
        "folder": str(directory.relative_to(folder)),
        "seed": int(row["seed"]),
        "state": row["state"],
        "reason": row["reason"] or None,
        "steps": status.get("step"),
        "steps_wanted": (config.get("run") or {}).get("train", {}).get("steps"),
        "started": provenance.get("started"),
        "finished": _written(directory / "status.json") if status.get("state") == "finished" else None,
        "grader": _grader(directory),
        **{key: provenance.get(key) for key in ("commit", "modified", "versions", "machine")},
        "records": _records(directory, status),
    }


def _find(folder: Path, arm: str, seed: int) -> Path:
    """Return a run's folder: the one of its name, or another that says it is this run."""
    usual = run_directory(folder, arm, seed)
    for path in (usual, *sorted((folder / "runs").glob("*"))):
        run = (read_json(path / "config.json") or {}).get("run") or {}
        if (run.get("arm"), run.get("seed")) == (arm, seed):
            return path
    return usual


def _written(path: Path) -> str:
    """Return when the file was last written: a run's status is the last that it writes."""
    moment = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _grader(directory: Path) -> str | None:
    try:
        header = read_header(directory)
    except (ValueError, OSError):
        return None  # what is wrong with the file is told by the run's state
    return header.grader or None if header is not None else None


def _records(directory: Path, status: Mapping[str, Any]) -> dict[str, dict[str, str | None]]:
    """Return each record's digest, as the run left it, and whether it is still that."""
    digests = status.get("sha256")
    if not isinstance(digests, Mapping):
        names = sorted(
            str(path.relative_to(directory)) for path in directory.glob("*.json*") if path.is_file()
        )
        return {name: {"sha256": None, "now": UNKNOWN} for name in names}
    changed = changed_files(directory, status)
    names = sorted({*digests, *changed})
    return {name: {"sha256": digests.get(name), "now": changed.get(name, FITS)} for name in names}


def shared(runs: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """Return each value that runs have of something, with their seeds; one where all agree."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run[key] is not None:
            entry = found.setdefault(json.dumps(run[key], sort_keys=True), {"value": run[key], "seeds": []})
            entry["seeds"].append(run["seed"])
    return list(found.values())
