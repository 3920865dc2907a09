"""Read the run directories of a study into data frames; what cannot be relied on is named, never skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from studies.auditing.of_study import NOT_AUDITED, notes, read_study_audits, verdict
from studies.directories import run_directory_name
from studies.record import completed
from studies.reporting.frames import join
from studies.reporting.run_files import DamagedRecordError, RunFrames, read_object, read_run, required
from studies.reporting.study_record import StudyRecord, read_study


@dataclass(frozen=True)
class Records:
    """All that tables and figures are computed from.

    Args:
        directory: The folder of the study that the runs belong to.
        study: What was wanted.
        runs: One row for each wanted arm and seed, in order: arm, seed, state, reason, steps. State is
            "finished", "failed", "running", "missing", or "damaged" where the files cannot be relied on.
        samples: One row for each sampled answer of the finished runs: suite, question, level, prompt_sha256,
            outcome, sample, earned, truncated, arm, seed.
        suites: One row for each finished run and suite: arm, seed, suite and run_files.SUITE_COLUMNS.
        metrics: One row for each step of the finished runs: arm, seed, step and the metrics that are numbers.
        validations: One row for each question of each validation of the finished runs: arm, seed, step,
            suite, question, samples, score (the mean of what the samples earned).
        problems: One line for each thing found wrong, with the files it was found in.
        audit: What the gradient audit of the study's engine came to.
        audit_notes: The same in sentences, a warning where it failed.
    """

    directory: Path
    study: StudyRecord
    runs: pd.DataFrame
    samples: pd.DataFrame
    suites: pd.DataFrame
    metrics: pd.DataFrame
    validations: pd.DataFrame
    problems: tuple[str, ...]
    audit: str = NOT_AUDITED
    audit_notes: tuple[str, ...] = ()


LOST = "study.json: no configuration of arm {arm!r}; none of its runs is counted"


class _Found(NamedTuple):
    """A run directory's configuration, or why it cannot be had."""

    directory: Path
    config: Mapping[str, Any]
    damage: str | None = None


def read_records(directory: Path, view: Mapping[str, Any] | None = None) -> Records:
    """Return the records of the study in this folder, results/<study>.

    Args:
        directory: Holds study.json and runs/; or a study.json that names the folder which does.
        view: What is reported of the runs and how, as study.json has it; None: as the folder's own has it.

    Raises:
        DamagedRecordError: study.json cannot be read. What is wrong with runs is told in the result.
    """
    own = read_object(directory / "study.json")
    if "runs_in" in own:
        return read_records(directory / str(own["runs_in"]), view or own)
    problems: list[str] = []
    own = _completed(own, directory)
    study = read_study(own, view or own)
    found = _find_runs(directory / "runs", study, own["arms"], problems)
    rows, finished = [], {}
    for arm in study.arms:
        wanted = completed(study.runs[arm])
        for seed in study.seeds:
            row = {"arm": arm, "seed": seed, "state": "missing", "reason": "", "steps": 0}
            try:
                if arm in own["lost"]:
                    raise DamagedRecordError(LOST.format(arm=arm))
                status, frames = _read_run(wanted, found.get((arm, seed), []))
                if frames is not None:
                    finished[arm, seed] = frames
            except DamagedRecordError as damage:
                status = {"state": "damaged", "reason": str(damage)}
                problems.append(f"{arm}, seed {seed}: {damage}")
            rows.append(row | status)
    joined = join(finished)
    problems += _contradictions(joined["samples"], joined["suites"])
    audits = read_study_audits(directory)
    return Records(
        directory,
        study,
        pd.DataFrame(rows),
        **joined,
        problems=tuple(problems),
        audit=verdict(audits),
        audit_notes=tuple(notes(audits)),
    )


def _completed(own: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Return study.json with "lost": arms whose configuration it lacks; their runs tell what was wanted."""
    arms, runs = (required(own, key, "study.json") for key in ("arms", "runs"))
    runs, lost = dict(runs), [arm for arm in arms if arm not in runs]
    for path in sorted((directory / "runs").glob("*/config.json")) if lost else ():
        try:
            run = required(read_object(path), "run", "config.json")
        except DamagedRecordError:
            continue  # told where runs are looked for
        if run.get("arm") in lost:
            runs.setdefault(run["arm"], {k: v for k, v in run.items() if k not in ("study", "arm", "seed")})
    return {**own, "runs": runs, "lost": lost}


def _find_runs(
    directory: Path, study: StudyRecord, arms: Sequence[str], problems: list[str]
) -> dict[tuple[str, int], list[_Found]]:
    """Return the run directories by arm and seed; what belongs to no wanted run goes to the problems."""
    by_name = {run_directory_name(arm, seed): (arm, seed) for arm in arms for seed in study.seeds}
    found: dict[tuple[str, int], list[_Found]] = {key: [] for key in by_name.values()}
    for path in sorted(entry for entry in directory.glob("*") if entry.is_dir()):
        try:
            run = required(read_object(path / "config.json"), "run", "config.json")
            key, entry = (run.get("arm"), run.get("seed")), _Found(path, run)
        except DamagedRecordError as damage:
            key, entry = by_name.get(path.name, (None, None)), _Found(path, {}, str(damage))
        if key in found and entry.config.get("study", study.source) == study.source:
            found[key].append(entry)
        else:
            named = f"study {entry.config.get('study')!r}, arm {key[0]!r}, seed {key[1]!r}"
            what = entry.damage or f"{named} is no run of this study"
            problems.append(f"runs/{path.name}: {what}; not counted")
    return found


def _read_run(wanted: Mapping[str, Any], found: Sequence[_Found]) -> tuple[dict[str, Any], RunFrames | None]:
    """Return the state of one arm and seed, and what its run holds if it is finished."""
    if not found:
        return {}, None
    if len(found) > 1:
        names = ", ".join(f"runs/{entry.directory.name}" for entry in found)
        raise DamagedRecordError(f"the same arm and seed in {names}; none is counted")
    directory, config, damage = found[0]
    try:
        if damage:
            raise DamagedRecordError(damage)
        return read_run(directory, config, wanted)
    except DamagedRecordError as error:
        raise DamagedRecordError(f"runs/{directory.name}: {error}") from None


def _contradictions(samples: pd.DataFrame, suites: pd.DataFrame) -> list[str]:
    """Return what makes finished runs incomparable: prompts and versions that are not the same in all."""
    if samples.empty:
        return []
    keys = ["suite", "question"]
    prompts = samples.groupby(keys, observed=True)["prompt_sha256"].nunique()
    problems = [
        f"suite {suite!r}: {count} questions have not the same prompt in every run"
        for suite, count in prompts[prompts > 1].groupby(level="suite", observed=True).size().items()
    ]
    for column, what in (("version", "versions"), ("sha256", "files of questions")):
        found = suites.groupby("suite")[column].nunique()
        problems += [
            f"suite {suite!r}: runs have {count} {what}" for suite, count in found[found > 1].items()
        ]
    return problems
