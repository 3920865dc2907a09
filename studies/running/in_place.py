"""Runs of a study by the processes that a launcher started: torchrun, `deepspeed`, SLURM.

`torchrun --nproc-per-node 8 -m studies.run STUDY --scale SCALE` has its ranks carry out one run after the
other. A run that fails ends them all; started again, those that failed come last.
"""

from __future__ import annotations

import dataclasses
import json
import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.auditing.configuration import audit_configuration
from studies.auditing.of_study import audit_study
from studies.configuring.resolve import Resolved
from studies.directories import (
    keep_reason,
    read_json,
    read_status,
    reopen,
    run_directory,
    run_state,
    write_failed,
)
from studies.record import RunConfig
from studies.running.driver import MOST_DEATHS, Outcome
from studies.running.journal import Cell
from studies.running.worker import load
from training.checkpoint import complete_checkpoints
from training.config import EngineConfig
from training.ranks import join_ranks
from training.run_dir import write_atomically

_ORDER = ("interrupted", "missing", "failed")
_TRIES = "tries.json"


def carry_out_all(resolved: Resolved, folder: Path, execute: str) -> None:
    """Carry out all that is missing of a study; every rank calls this.

    A rank whose run fails ends at once with exit code 1, and its launcher ends the others with it.
    """
    ranks = join_ranks()
    for run in ranks.from_first(_missing(resolved, folder)):
        directory = run_directory(folder, run.arm, run.seed).resolve()
        if not ranks.from_first(_may_start(directory) if ranks.first else False):
            continue
        try:
            load(execute)(run, directory)
        except Exception as error:  # noqa: BLE001  the others wait for what this rank will never send
            traceback.print_exc()
            keep_reason(directory, f"{type(error).__name__}: {error}")
            os._exit(1)
        ranks.wait()


def outcome_of(resolved: Resolved, folder: Path) -> Outcome:
    """Return how a study stands whose runs were not carried out by a driver."""
    failed: dict[Cell, str] = {}
    for run in resolved.runs:
        status = read_status(run_directory(folder, run.arm, run.seed))
        if status is not None and status.state == "failed":
            failed[Cell(run.arm, run.seed)] = status.reason or ""
    return Outcome(failed, None)


def _may_start(directory: Path) -> bool:
    """Return whether a run is to be tried, and count the try; one that keeps ending its processes is failed.

    A try that came to a new checkpoint counts for nothing: it may have been ended by a time limit.
    """
    if run_state(directory) == "failed":
        reopen(directory)
    directory.mkdir(parents=True, exist_ok=True)
    step = max(complete_checkpoints(directory / "checkpoints"), default=0)
    before = read_json(directory / _TRIES) or {"step": -1, "tries": 0}
    tries = before["tries"] if before["step"] == step else 0
    if tries >= MOST_DEATHS:
        (directory / _TRIES).unlink()
        write_failed(directory, f"its processes ended {tries} times after step {step}, without a reason")
        return False
    write_atomically(directory / _TRIES, json.dumps({"step": step, "tries": tries + 1}))
    return True


def audit_together(resolved: Resolved, folder: Path, despite: Sequence[str]) -> None:
    """Audit the study's engine on the ranks at hand, once; every rank calls this.

    Raises:
        UsageError: On rank 0, as `audit_study` does.
    """
    ranks = join_ranks()

    def audit(engine: EngineConfig, _: int) -> Mapping[str, Any]:
        return audit_configuration(ranks.from_first(engine), ranks).to_json()

    if ranks.first:
        runs = [dataclasses.replace(run, ranks=ranks.size) for run in resolved.runs]
        audit_study(runs, folder, despite, audit)
        ranks.from_first(None)
        return
    while (engine := ranks.from_first(None)) is not None:
        audit_configuration(engine, ranks)


def _missing(resolved: Resolved, folder: Path) -> list[RunConfig]:
    """Return the runs that are not finished, failed ones last."""
    states = [(run, run_state(run_directory(folder, run.arm, run.seed))) for run in resolved.runs]
    return [run for wanted in _ORDER for run, state in states if state == wanted]
