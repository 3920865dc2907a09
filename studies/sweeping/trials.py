"""Trials of a sweep, apart from the storage that they are kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.sweeping.axes import Axis, Value

State = Literal["waiting", "running", "complete", "pruned", "failed"]
NUMBER, VALUES, REASON, SCORED = "trial", "values", "reason", "scored"
INTERRUPTED = "interrupted"
"""Attributes of Optuna's trials: an attempt says which trial of the sweep it is at, and how it ended."""
MARK = "completed_rung"
"""What successive halving remembers of a trial begins with this."""
_STATES: dict[TrialState, State] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
}


@dataclass(frozen=True)
class Trial:
    """One point of a sweep, whichever attempts were made at it.

    Args:
        number: From 0.
        values: By the axis's key, of those that are varied for it.
        state: "waiting" also while nobody works on it since an attempt was interrupted.
        score: Of a complete trial; of a pruned one, its last.
        standard_error: Of the score; None where there is none.
        steps: That were taken before it was scored or pruned.
        reason: Why it was pruned or failed.
        reports: Validation scores by step, of the first seed.
        marks: What a pruner remembers of it.
        recorded: Whether its runs were seen in the results folder.
    """

    number: int
    values: Mapping[str, Value]
    state: State
    score: float | None = None
    standard_error: float | None = None
    steps: int | None = None
    reason: str = ""
    reports: Mapping[int, float] = field(default_factory=dict)
    marks: Mapping[str, Any] = field(default_factory=dict)
    recorded: bool = False

    @property
    def arm(self) -> str:
        """What its runs are called."""
        return f"trial-{self.number:03d}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def from_json(record: Mapping[str, Any]) -> Trial:
    """Return the trial that `Trial.to_json` wrote."""
    reports = {int(step): score for step, score in record.get("reports", {}).items()}
    return Trial(**{**record, "reports": reports})


def attempts_of(study: optuna.Study) -> dict[int, list[FrozenTrial]]:
    """Return the attempts at each trial, in order."""
    attempts: dict[int, list[FrozenTrial]] = {}
    for attempt in study.get_trials(deepcopy=False):
        if NUMBER in attempt.user_attrs:
            attempts.setdefault(attempt.user_attrs[NUMBER], []).append(attempt)
    return dict(sorted(attempts.items()))


def trials_of(study: optuna.Study) -> list[Trial]:
    """Return the trials of a sweep, in order."""
    return [_trial(number, made[-1]) for number, made in attempts_of(study).items()]


def is_lost(attempt: FrozenTrial) -> bool:
    """Return whether an attempt ended without a word: its worker did."""
    return attempt.state == TrialState.FAIL and REASON not in attempt.user_attrs


def _trial(number: int, attempt: FrozenTrial) -> Trial:
    attributes = attempt.user_attrs
    state: State = "waiting" if is_lost(attempt) else _STATES.get(attempt.state, "failed")
    scored = attributes.get(SCORED, {})
    return Trial(
        number,
        attributes[VALUES],
        state,
        attempt.value if state in ("complete", "pruned") else None,
        scored.get("standard_error"),
        scored.get("steps"),
        attributes.get(REASON, "") if state in ("pruned", "failed") else "",
        dict(sorted(attempt.intermediate_values.items())),
        {key: mark for key, mark in attempt.system_attrs.items() if key.startswith(MARK)},
    )


def as_study(
    trials: Sequence[Trial],
    axes: Sequence[Axis],
    *,
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
) -> optuna.Study:
    """Return trials as a study in memory, in which a trial's number is Optuna's.

    What is drawn and pruned there does not depend on how many attempts there were at a trial.
    """
    study = optuna.create_study(study_name="sweep", direction="maximize", sampler=sampler, pruner=pruner)
    distributions = {axis.key: axis.distribution for axis in axes}
    states = {name: state for state, name in _STATES.items()}
    for trial in trials:
        # One that waits for another attempt is under way all the same: nobody is to try its values.
        state = TrialState.RUNNING if trial.state == "waiting" else states.get(trial.state, TrialState.FAIL)
        study.add_trial(
            create_trial(
                state=state,
                value=trial.score,
                params=dict(trial.values),
                distributions={key: distributions[key] for key in trial.values},
                intermediate_values=dict(trial.reports),
                system_attrs=dict(trial.marks),
            )
        )
    return study


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial of the highest score, the first of equals."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    return max(complete, key=lambda trial: (trial.score or 0.0, -trial.number), default=None)
