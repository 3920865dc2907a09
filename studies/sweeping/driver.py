"""Carries out trials with local workers, beside other processes that may do the same.

One loop gives signs of life for every attempt, reads what runs have validated so far, ends those that fall
behind, and takes the next trial for a worker that is idle. A process that cannot reach the storage for so
long that others take its trials ends its runs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optuna.exceptions import OptunaError, StorageInternalError, UpdateFinishedTrialError

from studies.catalog import UsageError
from studies.running.pool import Worker, end_all
from studies.running.stopping import stopped_by_signals
from studies.sweeping.board import Board, Taken
from studies.sweeping.following import Follower, Job, start
from studies.sweeping.space import Space
from studies.sweeping.storage import GRACE

POLL_SECONDS = 0.1
LOOK_SECONDS = 1.0
"""Between two looks for a trial while there is none to take."""


@dataclass
class SweepDriver:
    """One process's share of a sweep.

    Args:
        space: What is swept.
        board: Its trials.
        folder: For its run directories.
        seeds: Of training, of each trial.
        workers: To carry runs out.
        tell: Is told what happens, a line at a time.
    """

    space: Space
    board: Board
    folder: Path
    seeds: Sequence[int]
    workers: Sequence[Worker]
    tell: Callable[[str], None]
    stopped_by: int | None = None
    _busy: dict[Worker, Job] = field(default_factory=dict)
    _alive: float = 0.0
    _beaten: float = 0.0
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self._follower = Follower(self.board, self.tell)

    def drive(self) -> int | None:
        """Work until all trials have come to an end; return the signal that stopped it, if one did.

        Raises:
            UsageError: The storage cannot be reached any more.
        """
        self._alive = time.monotonic()
        try:
            with stopped_by_signals(self._stop):
                while self.stopped_by is None and not self._tick():
                    time.sleep(POLL_SECONDS)
        finally:
            end_all(self.workers)
            with contextlib.suppress(OptunaError, ValueError):
                for job in self._busy.values():
                    self.board.give_back(job.taken.attempt)
        return self.stopped_by

    def _tick(self) -> bool:
        """Make one round; return whether all is done."""
        try:
            self._beat()
            for worker, job in list(self._busy.items()):
                try:
                    if self._follower.follow(worker, job):
                        del self._busy[worker]
                except (UpdateFinishedTrialError, ValueError) as error:
                    self._forsake(worker, job, error)
            done = self._take_what_there_is()
        except StorageInternalError as error:
            self._outlast(error)
            return False
        self._alive = time.monotonic()
        return done

    def _outlast(self, error: Exception) -> None:
        """Wait for the storage to come back, but no longer than others wait for this process."""
        patience = GRACE * (self.board.store.heartbeat or 0)
        if time.monotonic() - self._alive > patience:
            address = self.board.store.address
            cause = str(error.__cause__ or error)
            raise UsageError(
                f"the storage {address} cannot be reached: {address.masked(cause) if address else cause}; "
                "the same command goes on"
            ) from None
        time.sleep(POLL_SECONDS)

    def _beat(self) -> None:
        interval = self.board.store.heartbeat
        if interval is None or time.monotonic() - self._beaten < interval:
            return
        for job in self._busy.values():
            self.board.store.beat(job.taken.attempt._trial_id)
        self._beaten = time.monotonic()

    def _take_what_there_is(self) -> bool:
        """Give idle workers trials; return whether there is nothing left to do anywhere."""
        idle = [worker for worker in self.workers if worker not in self._busy]
        if not idle or time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        for worker in idle:
            if (taken := self.board.take()) is None:
                self._looked = time.monotonic()
                return not self._busy and self.board.finished()
            self._begin(worker, taken)
        return False

    def _begin(self, worker: Worker, taken: Taken) -> None:
        name = f"trial-{taken.number:03d}"
        told = ", ".join(f"{key}={value}" for key, value in taken.values.items())
        self.tell(f"started   {name}: {told}")
        try:
            runs = self.space.runs(taken.values, self.board.store.study.study_name, name, self.seeds)
        except UsageError as error:
            self.tell(f"failed    {name}: {error}")
            self.board.failed(taken.attempt, str(error))
            return
        self._busy[worker] = Job(taken, runs, self.folder)
        start(worker, self._busy[worker])

    def _forsake(self, worker: Worker, job: Job, error: Exception) -> None:
        """Let go of an attempt that another process has taken over; whatever else went wrong is told."""
        if self.board.owned(job.taken.attempt):
            raise error
        worker.end()
        self.tell(f"left      {job.run.arm}: another process took it, since this one gave no sign of life")
        del self._busy[worker]

    def _stop(self, number: int) -> None:
        self.stopped_by = number
