"""Where a study's files lie, and what a run directory says of its run, without heavy imports."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from evaluation.records import read_evaluation
from studies.catalog import UsageError
from training.run_dir import Phase, RunDirectory

State = Literal["missing", "interrupted", "failed", "finished"]


@dataclass(frozen=True)
class Status:
    """A run's status.json."""

    state: str
    phase: Phase
    step: int
    steps: int
    reason: str | None


def run_directory_name(arm: str, seed: int) -> str:
    """Return the name of a run's folder under runs/."""
    return f"{re.sub(r'[^a-z0-9.=-]', '-', arm.lower())}-seed{seed}"


def run_directory(folder: Path, arm: str, seed: int) -> Path:
    """Return the folder of a run in a study's folder."""
    return folder / "runs" / run_directory_name(arm, seed)


def read_status(directory: Path) -> Status | None:
    """Return a run's status; None where there is none yet."""
    values = read_json(directory / "status.json")
    if values is None:
        return None
    return Status(
        str(values.get("state")),
        "evaluate" if values.get("phase") == "evaluate" else "train",
        int(values.get("step", 0)),
        int(values.get("steps", 0)),
        values.get("reason"),
    )


def run_state(directory: Path) -> State:
    """Return what is left of a run that no process works on."""
    status = read_status(directory)
    if status is None:
        return "missing"
    if status.state == "finished":
        return "finished"
    return "failed" if status.state == "failed" else "interrupted"


PRUNED = "pruned "
"""How the reason begins of a run that a sweep ended early: it has no end, and nobody waits for one."""


def write_failed(directory: Path, reason: str) -> None:
    """Record that a run failed, where the run itself could not."""
    status = read_status(directory) or Status("running", "train", 0, 0, None)
    directory.mkdir(parents=True, exist_ok=True)
    RunDirectory(directory).write_status("failed", status.phase, status.step, status.steps, reason)


def keep_reason(directory: Path, reason: str) -> None:
    """Record that a run failed, unless the run itself has said why."""
    status = read_status(directory)
    if status is None or status.state != "failed":
        write_failed(directory, reason)


def reopen(directory: Path) -> None:
    """Take back that a run failed: it is tried again, and what it says from here on is news."""
    status = read_status(directory)
    if status is not None:
        RunDirectory(directory).write_status("running", status.phase, status.step, status.steps)


def mean_score(directory: Path) -> float:
    """Return the share of correct samples of a finished run, as the mean over its suites.

    Raises:
        ValueError: eval.json is missing or damaged, or no answer in it has a verdict.
    """
    try:
        result = read_evaluation(directory)
    except OSError as error:
        raise ValueError(f"{directory}/eval.json cannot be read: {error}") from error
    scores = [info.avg_at_k for info in result.suites.values() if info.avg_at_k is not None]
    if not scores:
        raise ValueError(f"{directory} holds no graded answer")
    return fmean(scores)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None where it is missing or cut off."""
    try:
        values = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return values if isinstance(values, dict) else None


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a study's folder for this process; the kernel lets go of it however the process ends.

    Raises:
        UsageError: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "journal.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UsageError(
                f"{folder} is in use by another studies.run, process {holder}; wait for it, end it, or take "
                f"another folder with --results"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
