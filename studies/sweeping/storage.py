"""Where a sweep's trials are kept: a journal file of one process, or a database that many share."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend

from studies.catalog import UsageError
from studies.running.journal import repair
from studies.sweeping.address import Address

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

GRACE = 3
"""Heartbeats that a worker may miss before another takes its trial."""
LOCK_SECONDS = 60.0
_LOCKS = {
    "postgresql": (
        "SELECT pg_try_advisory_lock(hashtext(:name))",
        "SELECT pg_advisory_unlock(hashtext(:name))",
    ),
    # A name of theirs has at most 64 characters.
    "mysql": ("SELECT GET_LOCK(SHA1(:name), 0)", "SELECT RELEASE_LOCK(SHA1(:name))"),
    "mariadb": ("SELECT GET_LOCK(SHA1(:name), 0)", "SELECT RELEASE_LOCK(SHA1(:name))"),
}


@dataclass(frozen=True)
class Store:
    """An open storage.

    Args:
        study: The sweep in it.
        storage: Where it is kept.
        heartbeat: Seconds between signs of life; None: this process has it to itself.
        address: Of the database; None: a file.
    """

    study: optuna.Study
    storage: BaseStorage
    heartbeat: int | None = None
    address: Address | None = None

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the sweep for this process, if nobody else does; say whether it is held."""
        if isinstance(self.storage, RDBStorage):
            with advisory_lock(self.storage.engine, f"sweep {self.study.study_name}") as held:
                yield held
        else:
            yield True

    def beat(self, trial_id: int) -> None:
        """Record that the worker of an attempt is alive."""
        if isinstance(self.storage, RDBStorage):
            self.storage.record_heartbeat(trial_id)

    def fail_stale(self) -> None:
        """Fail the attempts whose workers are gone, and queue others in their place."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)


@contextlib.contextmanager
def advisory_lock(engine: Engine, name: str) -> Iterator[bool]:
    """Hold a lock of a database, if nobody else does; it lets go of it when its holder is gone."""
    from sqlalchemy import text

    take, leave = _LOCKS[engine.dialect.name]
    with engine.connect() as connection:
        held = bool(connection.execute(text(take), {"name": name}).scalar())
        connection.commit()
        try:
            yield held
        finally:
            if held:
                connection.execute(text(leave), {"name": name})
                connection.commit()


def open_journal(path: Path, name: str) -> Store:
    """Open a journal file, whose folder this process holds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    repair(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = JournalStorage(JournalFileBackend(str(path)))
    return Store(_study(storage, name), storage)


def open_database(address: Address, name: str, heartbeat: int) -> Store:
    """Open a database, with Optuna's tables in it.

    Raises:
        UsageError: It cannot be reached, or its driver is not installed; without the password.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with _alone(address.url), warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = RDBStorage(
                address.url,
                engine_kwargs={"pool_pre_ping": True},
                heartbeat_interval=heartbeat,
                grace_period=GRACE * heartbeat,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
            )
            return Store(_study(storage, name), storage, heartbeat, address)
    except ImportError as error:
        raise UsageError(f"--storage {address}: {error}; install the project with [rdb]") from None
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it says, it may not say the password
        cause = address.masked(str(getattr(error, "orig", None) or error)).strip()
        raise UsageError(f"--storage {address}: {cause}") from None


@contextlib.contextmanager
def _alone(url: str) -> Iterator[None]:
    """Keep others out while tables are made: two that make the same ones at once fail."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(url, poolclass=NullPool)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with advisory_lock(engine, "sweep tables") as held:
            if held:
                yield
                return
        if time.monotonic() > deadline:
            raise UsageError(f"--storage: another process has been making its tables for {LOCK_SECONDS} s")
        time.sleep(0.1)


def _study(storage: BaseStorage, name: str) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
