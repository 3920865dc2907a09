"""Carry a sweep out, or on, and write what came of it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from studies.auditing.of_study import audit_study, launch_audit
from studies.directories import folder_lock
from studies.running.pool import Worker, make_workers
from studies.sweeping.address import Address
from studies.sweeping.board import Board
from studies.sweeping.driver import SweepDriver
from studies.sweeping.export import SweepRecord, report_again, reproduce_command, write_sweep, writing
from studies.sweeping.identity import claim
from studies.sweeping.rerun import resolve_rerun, run_again
from studies.sweeping.sampling import make_pruner
from studies.sweeping.session import Session
from studies.sweeping.storage import Store, open_database, open_journal
from studies.sweeping.trials import Trial, best_of

JOURNAL = "journal.sweep.log"
EXECUTE = "studies.execute:execute"


@dataclass(frozen=True)
class Work:
    """One process's work on a sweep.

    Args:
        session: The sweep.
        address: Of the database; None: a journal file.
        execute: "module:function" that carries out a run.
        tell: Is told what happens, a line at a time.
    """

    session: Session
    address: Address | None
    execute: str
    tell: Callable[[str], None]

    def carry_out(self) -> tuple[Sequence[Trial], int | None]:
        """Carry out what is missing; return the trials, and the signal that stopped it, if one did."""
        session = self.session
        with self._held():
            store = self._open()
            claim(store, session.description(), str(self.address or session.folder))
            workers = self._workers()
            if self.execute == EXECUTE:
                audit_study([session.first_run], session.folder, (), launch_audit)
            board = self._board(store)
            board.recover(retry_failed=session.command.retry_failed)
            driver = SweepDriver(session.space, board, session.folder, session.seeds, workers, self.tell)
            stopped_by = driver.drive()
            trials = board.trials()
        best, count = best_of(trials), session.command.rerun_best
        if stopped_by is None and count and best is not None:
            stopped_by = self._run_again(best, count)
        return trials, stopped_by

    def _held(self) -> AbstractContextManager[None]:
        if self.address is None:
            return folder_lock(self.session.folder)
        self.session.folder.mkdir(parents=True, exist_ok=True)
        return contextlib.nullcontext()

    def _open(self) -> Store:
        session = self.session
        if self.address is None:
            return open_journal(session.folder / JOURNAL, session.name)
        return open_database(self.address, session.name, session.command.heartbeat)

    def _workers(self) -> list[Worker]:
        session, count, first = self.session, self.session.command.workers, self.session.first_run
        apart = "" if self.address is None else f"{socket.gethostname()}-{os.getpid()}-"
        logs = [session.folder / "logs" / f"worker-{apart}{index}.log" for index in range(count)]
        return make_workers(self.execute, logs, first.ranks, first.threads)

    def _board(self, store: Store) -> Board:
        session, first = self.session, self.session.first_run
        assert first.validation.every is not None
        return Board(
            store,
            session.space.axes,
            session.sweep.sampler,
            session.command.sampler_seed,
            session.sweep.trials,
            make_pruner(session.sweep.pruner, first.validation.every, first.train.steps),
        )

    def _run_again(self, best: Trial, count: int) -> int | None:
        session, command = self.session, self.session.command
        fresh = range(session.sweep.seeds, session.sweep.seeds + count)
        resolved = resolve_rerun(session.space, session.name, best, fresh)
        makes = f"{command.makes()} --rerun-best {count}"
        return run_again(resolved, command.results, command.workers, self.execute, makes).stopped_by


def report(session: Session, trials: Sequence[Trial]) -> str:
    """Write a sweep's records and tables; return the table as Markdown."""
    record = SweepRecord(
        session.name,
        f"Sweep of {session.space.study.arms[0].name}, study {session.space.study.name}",
        session.description(),
        session.sweep.trials,
        trials,
        session.command.makes(),
        reproduce_command(session.space, session.asked, session.seeds, best_of(trials)),
    )
    with writing(session.folder):
        write_sweep(record, session.folder, session.space, session.seeds)
    return report_again(session.folder)
