"""Optuna's record of a study: one trial for each attempt at a run, and the queue of those still to make.

Trials are enqueued by hand. Optuna's GridSampler is no queue: it counts failed trials as visited, forgets all
visited ones when the list of seeds changes, hands the last cells out twice to parallel workers, and (5.0.0)
raises KeyError in `tell` of an enqueued trial where one cell is left.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

MOST_SEEDS = 2**31 - 1
# Trials enqueued here say what they are for in attributes: a waiting trial has no parameters yet.
DIRECTORY, REASON = "run_directory", "reason"


class Cell(NamedTuple):
    """One arm with one seed."""

    arm: str
    seed: int


class Attempt(NamedTuple):
    """A trial that was taken from the queue."""

    number: int
    cell: Cell


class Journal:
    """A study's trials in a journal file; only the process that holds the folder's lock may write it."""

    def __init__(self, path: Path, name: str, arms: Sequence[str]) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        repair(path)
        self._space: dict[str, BaseDistribution] = {
            "arm": CategoricalDistribution(list(arms)),
            # A range, not the seeds themselves: Optuna refuses choices that change, and seeds are added.
            "seed": IntDistribution(0, MOST_SEEDS),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = JournalStorage(JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", load_if_exists=True
            )
        self._storage = storage
        self._waiting = 0

    def plan(self, finished: dict[Cell, tuple[Path, float]], missing: Sequence[Cell]) -> None:
        """Bring the journal to what the run directories say.

        Trials that an ended process left running are marked failed. A finished run without a completed trial
        gets one, and what is missing is enqueued unless it is waiting already.
        """
        for trial in self._trials(TrialState.RUNNING):
            self.failed(trial.number, "interrupted")
        waiting: set[Cell] = set()
        for trial in self._trials(TrialState.WAITING):
            if (cell := _cell(trial)) in missing and cell not in waiting:
                waiting.add(cell)
            else:
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        self._waiting = len(waiting)
        completed = {_cell(trial) for trial in self._trials(TrialState.COMPLETE)}
        for cell, (directory, value) in finished.items():
            if cell not in completed:
                self._add_completed(cell, directory, value)
        for cell in missing:
            if cell not in waiting:
                self.enqueue(cell)

    def enqueue(self, cell: Cell) -> None:
        """Put a run at the end of the queue."""
        self._study.enqueue_trial(cell._asdict(), user_attrs=cell._asdict())
        self._waiting += 1

    def take(self) -> Attempt | None:
        """Return the next attempt of the queue, now running; None when the queue is empty."""
        if not self._waiting:
            return None
        self._waiting -= 1
        trial = self._study.ask(self._space)
        return Attempt(trial.number, Cell(trial.params["arm"], trial.params["seed"]))

    def completed(self, number: int, directory: Path, value: float) -> None:
        """Record that an attempt's run finished."""
        self._set(number, DIRECTORY, directory.name)
        self._study.tell(number, value)

    def failed(self, number: int, reason: str) -> None:
        """Record that an attempt did not finish its run."""
        self._set(number, REASON, reason)
        self._study.tell(number, state=TrialState.FAIL)

    def _trials(self, state: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(state,))

    def _set(self, number: int, key: str, value: str) -> None:
        self._storage.set_trial_user_attr(self._study.trials[number]._trial_id, key, value)

    def _add_completed(self, cell: Cell, directory: Path, value: float) -> None:
        self._study.add_trial(
            create_trial(
                params=cell._asdict(),
                distributions=self._space,
                value=value,
                user_attrs={**cell._asdict(), DIRECTORY: directory.name},
            )
        )


def _cell(trial: FrozenTrial) -> Cell:
    return Cell(trial.user_attrs["arm"], trial.user_attrs["seed"])


def repair(path: Path) -> None:
    """Undo what a process killed in the middle of a write leaves: half a line, and Optuna's lock."""
    Path(f"{path}.lock").unlink(missing_ok=True)
    if path.exists() and not (text := path.read_bytes()).endswith(b"\n"):
        path.write_bytes(text[: text.rfind(b"\n") + 1])
