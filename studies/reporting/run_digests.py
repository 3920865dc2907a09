"""Whether the files of a finished run are still what it wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.reporting.json_files import DamagedRecordError
from training.run_dir import digests, status_digest

STATUS = ("state", "phase", "step", "steps", "reason", "pid", "sha256")


def check_digests(directory: Path, status: Mapping[str, Any]) -> None:
    """Raise DamagedRecordError where a finished run's files are not what it wrote.

    A run of before digests were recorded tells nothing.
    """
    unknown = sorted(set(status) - set(STATUS))
    if unknown:
        raise DamagedRecordError(f"status.json: unknown {', '.join(map(repr, unknown))}")
    recorded: Mapping[str, str] | None = status.get("sha256")
    if recorded is None:
        return
    for name, what in changed_files(directory, status).items():
        told = what if what == "is missing" else f"{what} after the run had finished"
        raise DamagedRecordError(f"{name} {told}")


def changed_files(directory: Path, status: Mapping[str, Any]) -> dict[str, str]:
    """Return what became of each record that is not as the finished run left it, by its path in the run."""
    recorded, found = dict(status["sha256"]), digests(directory)
    changed = {}
    if "status.json" in recorded:
        text = (directory / "status.json").read_text(encoding="utf-8")
        if recorded.pop("status.json") != status_digest(status) or text != json.dumps(status):
            changed["status.json"] = "was changed"
    for name in sorted({*recorded, *found}):
        if name not in found:
            changed[name] = "is missing"
        elif name not in recorded:
            changed[name] = "was added"
        elif recorded[name] != found[name]:
            changed[name] = "was changed"
    return changed
