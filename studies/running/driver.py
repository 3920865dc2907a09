"""Runs what is missing of a study: the queue is Optuna's, the work is done by worker processes.

Run directories are the truth. A run whose worker ends with it is tried once more, then failed; a run that
raises is failed at once. What was interrupted goes on from its last checkpoint when the study is run again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from studies.catalog import UsageError
from studies.configuring.resolve import Resolved
from studies.costs.planned import expected_flops
from studies.directories import (
    keep_reason,
    mean_score,
    read_status,
    reopen,
    run_directory,
    run_state,
)
from studies.record import RunConfig
from studies.running.journal import Attempt, Cell, Journal
from studies.running.pool import Reply, Worker, end_all, make_workers
from studies.running.progress import Progress
from studies.running.stopping import stopped_by_signals

POLL_SECONDS = 0.1
MOST_DEATHS = 2
"""A run whose worker ended this often, by itself, is failed."""


class Outcome(NamedTuple):
    """How a study ended: reasons of failed runs, and the signal that stopped it, if one did."""

    failed: dict[Cell, str]
    stopped_by: int | None


@dataclass
class Driver:
    """One start of a study, in the process that holds the folder's lock.

    Args:
        resolved: What to run.
        folder: The study's folder.
        workers: Most runs at once.
        execute: "module:function" that carries out a run.
        progress: Is told what happens.
    """

    resolved: Resolved
    folder: Path
    workers: int
    execute: str
    progress: Progress
    _failed: dict[Cell, str] = field(default_factory=dict)
    _deaths: dict[Cell, int] = field(default_factory=dict)
    _busy: dict[Worker, Attempt] = field(default_factory=dict)
    _idle: list[Worker] = field(default_factory=list)
    _stopped_by: int | None = None

    def __post_init__(self) -> None:
        self._runs = {Cell(run.arm, run.seed): run for run in self.resolved.runs}
        arms = [arm.name for arm in self.resolved.study.arms]
        self._journal = Journal(self.folder / "journal.log", self.resolved.study.name, arms)

    def drive(self) -> Outcome:
        """Run all that is missing; end every process that was started, however this ends."""
        finished = self._finished()
        missing = self._in_order([cell for cell in self._runs if cell not in finished])
        self._journal.plan(finished, missing)
        if not missing:
            return Outcome({}, None)
        self.progress.begin(len(finished), len(self._runs), min(self.workers, len(missing)))
        ranks = max(run.ranks for run in self._runs.values())
        logs = [self.folder / "logs" / f"worker-{index}.log" for index in range(self.workers)]
        workers = make_workers(self.execute, logs, ranks, self._runs[missing[0]].threads)
        self._idle = workers[::-1]
        try:
            with stopped_by_signals(self._stop):
                self._loop()
                end_all(workers)
        finally:
            end_all(workers)
            self.progress.end()
        if self._stopped_by is not None:
            for attempt in self._busy.values():
                self._journal.failed(attempt.number, "interrupted")
        return Outcome(self._failed, self._stopped_by)

    def _in_order(self, cells: list[Cell]) -> list[Cell]:
        """Return runs seed by seed; several workers begin with the longest, to end at one time."""
        if self.workers == 1:
            return cells
        arms = {run.arm: run for run in self._runs.values()}
        work = {arm: expected_flops(run) for arm, run in arms.items()}
        return sorted(cells, key=lambda cell: (cell.seed, -work[cell.arm]))

    def _loop(self) -> None:
        while self._stopped_by is None:
            while self._idle and (attempt := self._journal.take()):
                self._start(self._idle.pop(), attempt)
            if not self._busy:
                return
            for worker, attempt in list(self._busy.items()):
                if (reply := worker.hear()) is not None:
                    del self._busy[worker]
                    self._conclude(worker, attempt, reply)
            self.progress.tick()
            time.sleep(POLL_SECONDS)

    def _start(self, worker: Worker, attempt: Attempt) -> None:
        self._busy[worker] = attempt
        directory = self._directory(attempt.cell)
        if run_state(directory) == "failed":
            reopen(directory)
        worker.give(self._runs[attempt.cell], directory)
        self.progress.started(attempt.cell, directory)

    def _conclude(self, worker: Worker, attempt: Attempt, reply: Reply) -> None:
        cell, directory, reason = attempt.cell, self._directory(attempt.cell), reply.reason
        died, value = reply.died, 0.0
        if died and (status := read_status(directory)) is not None and status.state == "failed":
            # One of several ranks raised, and took the others with it.
            died, reason = False, status.reason or reason
        if reason is None:
            try:
                value = _value(directory)
            except ValueError as error:
                reason = str(error)
        if reason is None:
            self._journal.completed(attempt.number, directory, value)
            self.progress.finished(cell, value)
        else:
            self._journal.failed(attempt.number, reason)
            self._deaths[cell] = self._deaths.get(cell, 0) + died
            if died and self._deaths[cell] < MOST_DEATHS:
                self._journal.enqueue(cell)
                self.progress.again(cell, reason)
            else:
                self._fail(cell, reason, worker)
            worker.end()  # what is left of a failed run in its process must not reach the next one
        self._idle.append(worker)

    def _fail(self, cell: Cell, reason: str, worker: Worker) -> None:
        keep_reason(self._directory(cell), reason)
        self._failed[cell] = reason
        self.progress.failed(cell, reason, worker.log, worker.log_tail())

    def _finished(self) -> dict[Cell, tuple[Path, float]]:
        directories = {cell: self._directory(cell) for cell in self._runs}
        finished = {cell: path for cell, path in directories.items() if run_state(path) == "finished"}
        try:
            return {cell: (path, mean_score(path)) for cell, path in finished.items()}
        except ValueError as error:
            raise UsageError(f"{error}; move that run's folder away to have it run again") from error

    def _directory(self, cell: Cell) -> Path:
        return run_directory(self.folder, cell.arm, cell.seed).resolve()

    def _stop(self, number: int) -> None:
        self._stopped_by = number


def runs_by_state(resolved: Resolved, folder: Path) -> dict[str, list[RunConfig]]:
    """Return what is there of a study: its runs by state."""
    states: dict[str, list[RunConfig]] = {}
    for run in resolved.runs:
        states.setdefault(run_state(run_directory(folder, run.arm, run.seed)), []).append(run)
    return states


def _value(directory: Path) -> float:
    """Return a run's score; raise ValueError if it claims to have finished and has not."""
    status = read_status(directory)
    if status is None or status.state != "finished":
        raise ValueError(f"ended without a finished status.json ({status.state if status else 'none'})")
    return mean_score(directory)
