"""A sweep's trials, what matters in them, and the best one on fresh seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from evaluation.statistics.scores import Score
from studies.reporting.cells import percent, shortened
from studies.reporting.parts import NOTHING, Context, Part, Section
from studies.reporting.records import Records
from studies.sweeping.axes import Axis, Value
from studies.sweeping.axis_texts import read_axes
from studies.sweeping.charts import charts
from studies.sweeping.export import SweepRecord, read_sweep
from studies.sweeping.fresh import fresh_scores
from studies.sweeping.importances import FEWEST, importances
from studies.sweeping.objective import SEED, score_of
from studies.sweeping.trials import Trial, best_of

_TOO_FEW = f"No importances of axes: they take {FEWEST} complete trials with different scores."
NONE = Score(math.nan, math.nan, math.nan)


class _Entry(NamedTuple):
    """A trial with its score as the records here have it, and what is wrong with them."""

    trial: Trial
    score: Score
    problem: str = ""


def part(context: Context) -> Part:
    """Return the table of trials, the importances of the axes, the best trial again, and figures."""
    records = context.records
    sweep = read_sweep(records.directory)
    axes = read_axes(sweep.description["axes"])
    entries = [_entry(trial, records) for trial in sweep.trials]
    counted = [entry.trial for entry in entries if not math.isnan(entry.score.mean)]
    cells = pd.DataFrame([_row(entry, axes, records.study.seeds) for entry in entries])
    data = pd.DataFrame([_numbers(entry, axes, len(records.study.seeds)) for entry in entries])
    found = importances(counted, axes)
    notes = [*_told(sweep, counted, records), *([] if found else [_TOO_FEW]), *_problems(entries)]
    sections = [
        Section("table", records.study.title, cells, notes, data=data),
        *_importances(found, counted),
        *_fresh(sweep, counted, records),
    ]
    return Part(sections, charts(counted, axes, found))


def _entry(trial: Trial, records: Records) -> _Entry:
    score = NONE if trial.score is None else Score(trial.score, trial.standard_error or math.nan, math.nan)
    if not trial.recorded:
        return _Entry(trial, score)
    runs = records.runs[records.runs["arm"] == trial.arm]
    if set(runs["state"]) != {"finished"}:
        states = ", ".join(dict.fromkeys(runs["state"])) or "missing"
        return _Entry(trial, NONE, f"trial {trial.number}: its runs are {states}, so that its score is gone")
    own = records.validations[records.validations["arm"] == trial.arm]
    last = own[own["step"] == own.groupby(SEED)["step"].transform("max")]
    found = score_of(last)
    if abs(found.mean - score.mean) > 1e-9:
        told = f"trial {trial.number}: its runs scored {percent(found.mean)}, its record says"
        return _Entry(trial, NONE, f"{told} {percent(score.mean)}")
    return _Entry(trial, found)


def _row(entry: _Entry, axes: Sequence[Axis], seeds: Sequence[int]) -> dict[str, str]:
    trial, score = entry.trial, entry.score
    told = NOTHING if math.isnan(score.mean) else f"{percent(score.mean)} ± {percent(score.standard_error)}"
    state = f"{trial.state}: {trial.reason}" if trial.reason else trial.state
    return (
        {"trial": str(trial.number)}
        | {axis.key: _value(trial.values.get(axis.key)) for axis in axes}
        | {
            "score": told,
            "steps": NOTHING if trial.steps is None else str(trial.steps),
            "seeds": "0" if trial.state == "pruned" else ", ".join(map(str, seeds)),
            "status": shortened("records missing or changed" if entry.problem else state),
        }
    )


def _numbers(entry: _Entry, axes: Sequence[Axis], seeds: int) -> dict[str, Any]:
    trial = entry.trial
    return (
        {"trial": trial.number}
        | {axis.key: trial.values.get(axis.key) for axis in axes}
        | {
            "score": entry.score.mean,
            "standard_error": entry.score.standard_error,
            "steps": trial.steps,
            "seeds": 1 if trial.state == "pruned" else seeds,
            "state": trial.state,
            "reason": trial.reason,
        }
    )


def _value(value: Value | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _told(sweep: SweepRecord, counted: Sequence[Trial], records: Records) -> list[str]:
    asked, run = sweep.description, sweep.description["run"]
    validation = run["validation"]
    suites = ", ".join(validation["suites"])
    counts = Counter(trial.state for trial in sweep.trials)
    many = len(records.study.seeds) > 1
    lines = [
        f"Trials: {', '.join(f'{count} {state}' for state, count in sorted(counts.items()))}; "
        f"{sweep.wanted} wanted. Values by {asked['sampler']}, seed {asked['sampler_seed']}; ended early by "
        f"{asked['pruner']}.",
        f"Score: mean over {suites} of the last validation of a run, on the first {validation['limit']} "
        f"questions of each with {validation['samples']} sample(s), in percent ± one standard error for new "
        f"questions{' and new training seeds' if many else '; it says nothing of other training seeds'}.",
        "A pruned trial's score is that of its last validation, of one seed, and is compared with no other.",
        "The highest score is optimistic: the best of several trials is partly the luckiest, and the final "
        "evaluation asks the questions of validation among others. --rerun-best N tells what it is worth.",
    ]
    best = best_of(counted)
    if best is not None:
        told = ", ".join(f"{key}={_value(value)}" for key, value in best.values.items())
        lines.append(f"Best: trial {best.number} ({told}), {percent(best.score or 0.0)}.")
        lines.append(
            f"Its runs again: {sweep.reproduce}"
            if sweep.reproduce
            else "The study sets itself what was swept, so that studies.run cannot make its runs again with "
            "--set; --rerun-best does."
        )
    return lines


def _problems(entries: Sequence[_Entry]) -> list[str]:
    elsewhere = [e.trial.number for e in entries if e.trial.state == "complete" and not e.trial.recorded]
    lines = [f"Not as it should be: {entry.problem}." for entry in entries if entry.problem]
    if elsewhere:
        lines.append(f"Run on other machines, whose records are not here: {', '.join(map(str, elsewhere))}.")
    return lines


def _importances(found: dict[str, float], counted: Sequence[Trial]) -> list[Section]:
    if not found:
        return []
    cells = pd.DataFrame([{"axis": key, "importance": f"{share:.2f}"} for key, share in found.items()])
    complete = sum(trial.state == "complete" for trial in counted)
    notes = [
        f"Shares by Optuna's PED-ANOVA evaluator, from {complete} complete trials: how far the values of the "
        "best tenth differ from all. Few trials make them rough; with tens more they settle."
    ]
    data = pd.DataFrame([{"axis": key, "importance": share} for key, share in found.items()])
    return [Section("importances", "Importance of the axes", cells, notes, data=data)]


def _fresh(sweep: SweepRecord, counted: Sequence[Trial], records: Records) -> list[Section]:
    best = best_of(counted)
    if best is None:
        return []
    asked = records.validations[records.validations["arm"] == best.arm]
    found = fresh_scores(records.directory, sweep, best, asked)
    if found is None:
        return []
    cells = pd.DataFrame(
        [
            {
                "questions": name,
                "score": f"{percent(score.mean)} ± {percent(score.standard_error)}",
                "n": str(n),
            }
            for name, (score, n) in found.scores.items()
        ]
    )
    notes = [
        f"Trial {best.number} on seeds {', '.join(map(str, found.seeds))}, which had no part in choosing it; "
        "final evaluation, in percent ± one standard error for new questions and new training seeds."
    ]
    return [Section("best", f"Trial {best.number} on fresh seeds", cells, notes)]
