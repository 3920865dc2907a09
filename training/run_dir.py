"""The run directory: what a run leaves behind, and all that tables and figures are made of."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["running", "finished", "failed"]
Phase = Literal["train", "evaluate"]


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see all of it or what was there before."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.replace(path)


@dataclass(frozen=True)
class RunDirectory:
    """Paths and writers of one run's files."""

    path: Path

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
        self.path.mkdir(parents=True, exist_ok=True)
        record = {"run": run, "provenance": provenance}
        write_atomically(self.path / "config.json", json.dumps(record, indent=1))

    def write_status(
        self, state: State, phase: Phase, step: int, steps: int, reason: str | None = None
    ) -> None:
        """Record how far the run is."""
        status = {
            "state": state,
            "phase": phase,
            "step": step,
            "steps": steps,
            "reason": reason,
            "pid": os.getpid(),
        }
        write_atomically(self.path / "status.json", json.dumps(status))

    def append_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Add one step's metrics."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(metrics, allow_nan=False) + "\n")
            file.flush()
            # A checkpoint is on the disk when it is named: the metrics of its steps must be, too.
            os.fsync(file.fileno())

    def keep_metrics(self, steps: int) -> None:
        """Drop what was recorded after the first `steps` steps: a resumed run takes those again.

        Raises:
            ValueError: Fewer steps are recorded; somebody else has changed the file.
        """
        path = self.path / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
        if len(lines) < steps:
            raise ValueError(
                f"{path} holds {len(lines)} steps, the newest checkpoint is of step {steps}; delete "
                f"{self.path} to run it again"
            )
        write_atomically(path, "".join(lines[:steps]))
