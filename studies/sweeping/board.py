"""A sweep's trials in their storage: which is next, what is known of it, how it ended.

A trial is a number from 0 and the values it tries. Attempts at it are Optuna's trials: one whose worker ended
is followed by another with the same values. All that adds attempts happens under the storage's lock, so that
there are exactly as many trials as were asked for, however many processes share them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from studies.sweeping.axes import Axis, Value, suggest
from studies.sweeping.sampling import propose
from studies.sweeping.storage import Store
from studies.sweeping.trials import (
    INTERRUPTED,
    NUMBER,
    REASON,
    SCORED,
    VALUES,
    Trial,
    as_study,
    attempts_of,
    is_lost,
    trials_of,
)

MOST_DEATHS = 3
"""A trial whose workers ended this often, by themselves, is failed."""
FINAL = ("complete", "pruned", "failed")


@dataclass(frozen=True)
class Taken:
    """An attempt that this process is at."""

    number: int
    values: dict[str, Value]
    attempt: FrozenTrial


@dataclass(frozen=True)
class Board:
    """The trials of a sweep.

    Args:
        store: Where they are kept.
        axes: What is varied.
        sampler: Name of what proposes values.
        seed: Of the sampler.
        wanted: How many trials there are to be.
        pruner: What ends trials early.
    """

    store: Store
    axes: Sequence[Axis]
    sampler: str
    seed: int
    wanted: int
    pruner: BasePruner

    @property
    def _study(self) -> optuna.Study:
        return self.store.study

    def trials(self) -> list[Trial]:
        """Return all trials there are, in order."""
        return trials_of(self._study)

    def finished(self) -> bool:
        """Return whether as many trials as were wanted have come to an end."""
        ended = [trial for trial in self.trials() if trial.state in FINAL]
        return len(ended) >= self.wanted

    def recover(self, *, retry_failed: bool) -> None:
        """Bring the trials into order as this process starts.

        Where nobody else has the storage, what an ended process left running is put back.

        Args:
            retry_failed: Have failed trials tried again, too.
        """
        with self.store.lock() as held:
            if self.store.heartbeat is None:
                for attempt in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                    self.give_back(attempt)
            if retry_failed and held:
                for trial in self.trials():
                    if trial.state == "failed":
                        self._queue(trial.number, trial.values)

    def take(self) -> Taken | None:
        """Return the next attempt, which this process is to make now; None where there is none at present."""
        with self.store.lock() as held:
            return self._take() if held else None

    def _take(self) -> Taken | None:
        self._mend()
        while True:
            waiting = self._waiting()
            if not waiting:
                if (number := len(self.trials())) >= self.wanted:
                    return None
                before = self.trials()
                values = propose(self.axes, self.sampler, self.seed, before, self.pruner)
                self._queue(number, values)
                waiting = self._waiting()
            # Before it runs: one without a sign of life would never be missed.
            self.store.beat(waiting[0]._trial_id)
            attempt = self._ask()
            number = attempt.user_attrs[NUMBER]
            if self._deaths(number) < MOST_DEATHS:
                return Taken(number, dict(attempt.user_attrs[VALUES]), attempt)
            self.failed(attempt, f"its worker ended {MOST_DEATHS} times")

    def _waiting(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def _ask(self) -> FrozenTrial:
        with warnings.catch_warnings():
            # Signs of life are given by the driver, where Optuna's own loop would.
            warnings.filterwarnings("ignore", message="Heartbeat of storage")
            trial = self._study.ask()
        suggest(self.axes, trial)
        return self.store.storage.get_trial(trial._trial_id)

    def _mend(self) -> None:
        """Queue another attempt at each trial whose last one was lost."""
        self.store.fail_stale()
        for number, attempts in attempts_of(self._study).items():
            if is_lost(attempts[-1]):
                self._queue(number, attempts[-1].user_attrs[VALUES])

    def _queue(self, number: int, values: Any) -> None:  # noqa: ANN401
        self._study.enqueue_trial(dict(values), user_attrs={NUMBER: number, VALUES: dict(values)})

    def _deaths(self, number: int) -> int:
        """Return how many attempts at a trial ended with their workers since it was last failed."""
        deaths = 0
        for attempt in attempts_of(self._study)[number]:
            if attempt.state == TrialState.FAIL and REASON in attempt.user_attrs:
                deaths = 0
            elif is_lost(attempt) and INTERRUPTED not in attempt.user_attrs:
                deaths += 1
        return deaths

    def owned(self, attempt: FrozenTrial) -> bool:
        """Return whether an attempt is still this process's: others take it when signs of life are missed."""
        return self.store.storage.get_trial(attempt._trial_id).state == TrialState.RUNNING

    def report(self, attempt: FrozenTrial, step: int, score: float) -> None:
        """Record a trial's score in training."""
        self.store.storage.set_trial_intermediate_value(attempt._trial_id, step, score)

    def to_prune(self, number: int) -> bool:
        """Return whether a trial falls so far behind the others that it should end."""
        study = as_study(self.trials(), self.axes, pruner=self.pruner)
        pruned = self.pruner.prune(study, study.trials[number])
        attempt = attempts_of(self._study)[number][-1]
        for key, mark in study.trials[number].system_attrs.items():  # what the pruner is to remember
            if key not in attempt.system_attrs:
                self.store.storage.set_trial_system_attr(attempt._trial_id, key, mark)
        return pruned

    def completed(self, attempt: FrozenTrial, score: float, error: float | None, steps: int) -> None:
        """Record that a trial has its score."""
        self._set(attempt, SCORED, {"standard_error": error, "steps": steps})
        self._study.tell(attempt.number, score)

    def pruned(self, attempt: FrozenTrial, reason: str, error: float | None, steps: int) -> None:
        """Record that a trial was ended early; its last report becomes its score."""
        self._set(attempt, SCORED, {"standard_error": error, "steps": steps})
        self._set(attempt, REASON, reason)
        self._study.tell(attempt.number, state=TrialState.PRUNED)

    def failed(self, attempt: FrozenTrial, reason: str) -> None:
        """Record that a trial cannot be carried out."""
        self._set(attempt, REASON, reason)
        self._study.tell(attempt.number, state=TrialState.FAIL)

    def lost(self, attempt: FrozenTrial) -> None:
        """Record that an attempt's worker ended with it."""
        self._study.tell(attempt.number, state=TrialState.FAIL)

    def give_back(self, attempt: FrozenTrial) -> None:
        """Record that an attempt was interrupted, which says nothing of the trial."""
        self._set(attempt, INTERRUPTED, True)
        self._study.tell(attempt.number, state=TrialState.FAIL)

    def _set(self, attempt: FrozenTrial, key: str, value: Any) -> None:  # noqa: ANN401
        self.store.storage.set_trial_user_attr(attempt._trial_id, key, value)
