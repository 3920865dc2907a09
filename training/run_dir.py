"""The run directory: what a run leaves behind, and all that tables and figures are made of."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["running", "finished", "failed"]
Phase = Literal["train", "evaluate"]
METRICS, ROLLOUTS = "metrics.jsonl", "rollouts.jsonl"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see all of it or what was there before."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.replace(path)


def digests(directory: Path) -> dict[str, str]:
    """Return the SHA-256 of every record in a run directory, by path within it: all JSON but status.json."""
    records = [*directory.rglob("*.json"), *directory.rglob("*.jsonl")]
    apart = {"checkpoints", "failure"}
    return {
        str(name): hashlib.sha256((directory / name).read_bytes()).hexdigest()
        for name in sorted(path.relative_to(directory) for path in records)
        if str(name) != "status.json" and name.parts[0] not in apart
    }


def status_digest(status: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a finished run's status.json without the entry that this is."""
    files = {name: digest for name, digest in status["sha256"].items() if name != "status.json"}
    return hashlib.sha256(json.dumps({**status, "sha256": files}).encode()).hexdigest()


@dataclass(frozen=True)
class RunDirectory:
    """Paths and writers of one run's files.

    Args:
        path: The directory.
        writes: Whether this process writes the run's records: of several ranks, one does.
    """

    path: Path
    writes: bool = True

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def failure(self) -> Path:
        """Folder of the batch that stopped the run."""
        return self.path / "failure"

    def write_config(self, run: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
        """Record what is run, with what."""
        if not self.writes:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        record = {"run": run, "provenance": provenance}
        write_atomically(self.path / "config.json", json.dumps(record, indent=1))

    def write_status(
        self, state: State, phase: Phase, step: int, steps: int, reason: str | None = None
    ) -> None:
        """Record how far the run is; of a finished one, the digests of its records as well."""
        if not self.writes:
            return
        status: dict[str, Any] = {
            "state": state,
            "phase": phase,
            "step": step,
            "steps": steps,
            "reason": reason,
            "pid": os.getpid(),
        }
        if state == "finished":
            status["sha256"] = digests(self.path)
            status["sha256"]["status.json"] = status_digest(status)
        write_atomically(self.path / "status.json", json.dumps(status))

    def append_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Add one step's metrics."""
        self._append(METRICS, [metrics])

    def append_rollouts(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Add what is kept of one step's responses."""
        self._append(ROLLOUTS, records)

    def _append(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        if not self.writes or not records:
            return
        with (self.path / name).open("a") as file:
            file.write("".join(json.dumps(record, allow_nan=False) + "\n" for record in records))
            file.flush()
            # A checkpoint is on the disk when it is named: the records of its steps must be, too.
            os.fsync(file.fileno())

    def keep_steps(self, steps: int) -> None:
        """Drop what was recorded after the first `steps` steps: a resumed run takes those again.

        Raises:
            ValueError: Fewer steps are recorded; somebody else has changed the file.
        """
        if not self.writes:
            return
        path = self.path / METRICS
        lines = _lines(path)
        if len(lines) < steps:
            raise ValueError(
                f"{path} holds {len(lines)} steps, the newest checkpoint is of step {steps}; delete "
                f"{self.path} to run it again"
            )
        write_atomically(path, "".join(lines[:steps]))
        rollouts = self.path / ROLLOUTS
        if rollouts.is_file():
            kept = itertools.takewhile(lambda line: _step_of(line) <= steps, _lines(rollouts))
            write_atomically(rollouts, "".join(kept))


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True) if path.is_file() else []


def _step_of(line: str) -> float:
    """Return the step of a record; infinity where the line was cut off."""
    try:
        return int(json.loads(line)["step"])
    except ValueError:
        return math.inf
