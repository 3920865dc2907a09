"""Read the run directories of a study into data frames; what cannot be relied on is named, never skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from studies.directories import run_directory_name
from studies.reporting.run_files import DamagedRecordError, read_object, read_run, required


@dataclass(frozen=True)
class StudyRecord:
    """What study.json says was wanted.

    Args:
        name: Folder under results/.
        title: Heading of the table.
        baseline: Arm that differences are taken against.
        arms: Names, in the order of the table.
        seeds: Seeds of every arm.
        runs: For each arm its RunConfig as JSON, without study, arm and seed.
    """

    name: str
    title: str
    baseline: str | None
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: Mapping[str, Mapping[str, Any]]

    @property
    def suites(self) -> tuple[str, ...]:
        """Suites that any arm is evaluated on, in the order of the protocols."""
        named = [suite for arm in self.arms for suite in self.runs[arm]["evaluation"]["suites"]]
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True)
class Records:
    """All that tables and figures are computed from.

    Args:
        directory: The study's folder.
        study: What was wanted.
        runs: One row for each wanted arm and seed, in order: arm, seed, state, reason, steps. State is
            "finished", "failed", "running", "missing", or "damaged" where the files cannot be relied on.
        samples: One row for each sampled answer of the finished runs: arm, seed and run_files.SAMPLE_COLUMNS.
        suites: One row for each finished run and suite: arm, seed, suite and run_files.SUITE_COLUMNS.
        metrics: One row for each step of the finished runs: arm, seed, step and the metrics that are numbers.
        problems: One line for each thing found wrong, with the files it was found in.
    """

    directory: Path
    study: StudyRecord
    runs: pd.DataFrame
    samples: pd.DataFrame
    suites: pd.DataFrame
    metrics: pd.DataFrame
    problems: tuple[str, ...]


class _Found(NamedTuple):
    """A run directory's configuration, or why it cannot be had."""

    directory: Path
    config: Mapping[str, Any]
    damage: str | None = None


def read_records(directory: Path) -> Records:
    """Return the records of the study in this folder, results/<study>.

    Raises:
        DamagedRecordError: study.json cannot be read. What is wrong with runs is told in the result.
    """
    study = _read_study(directory / "study.json")
    problems: list[str] = []
    found = _find_runs(directory / "runs", study, problems)
    rows = []
    frames: dict[str, list[pd.DataFrame]] = {"samples": [], "suites": [], "metrics": []}
    for arm in study.arms:
        for seed in study.seeds:
            row = {"arm": arm, "seed": seed, "state": "missing", "reason": "", "steps": 0}
            try:
                status, read = _read_run(study.runs[arm], found.get((arm, seed), []))
            except DamagedRecordError as damage:
                status, read = {"state": "damaged", "reason": str(damage)}, {}
                problems.append(f"{arm}, seed {seed}: {damage}")
            rows.append(row | status)
            for name, frame in read.items():
                frames[name].append(frame.assign(arm=arm, seed=seed))
    joined = {name: _join(parts) for name, parts in frames.items()}
    problems += _contradictions(joined["samples"], joined["suites"])
    return Records(directory, study, pd.DataFrame(rows), **joined, problems=tuple(problems))


def _read_study(path: Path) -> StudyRecord:
    record = read_object(path)
    name, arms, runs = (required(record, key, path.name) for key in ("study", "arms", "runs"))
    for arm in arms:
        required(
            required(required(runs, arm, path.name), "evaluation", f"{path.name} {arm}"), "suites", path.name
        )
    seeds = tuple(required(record, "seeds", path.name))
    return StudyRecord(name, record.get("title") or name, record.get("baseline"), tuple(arms), seeds, runs)


def _find_runs(
    directory: Path, study: StudyRecord, problems: list[str]
) -> dict[tuple[str, int], list[_Found]]:
    """Return the run directories by arm and seed; what belongs to no wanted run goes to the problems."""
    by_name = {run_directory_name(arm, seed): (arm, seed) for arm in study.arms for seed in study.seeds}
    found: dict[tuple[str, int], list[_Found]] = {key: [] for key in by_name.values()}
    for path in sorted(entry for entry in directory.glob("*") if entry.is_dir()):
        try:
            run = required(read_object(path / "config.json"), "run", "config.json")
            key, entry = (run.get("arm"), run.get("seed")), _Found(path, run)
        except DamagedRecordError as damage:
            key, entry = by_name.get(path.name, (None, None)), _Found(path, {}, str(damage))
        if key in found and entry.config.get("study", study.name) == study.name:
            found[key].append(entry)
        else:
            named = f"study {entry.config.get('study')!r}, arm {key[0]!r}, seed {key[1]!r}"
            what = entry.damage or f"{named} is no run of this study"
            problems.append(f"runs/{path.name}: {what}; not counted")
    return found


def _read_run(
    wanted: Mapping[str, Any], found: Sequence[_Found]
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return the state of one arm and seed, and its frames if it is finished."""
    if not found:
        return {}, {}
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


def _join(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the frames below each other; repeated strings stay categories, which take less memory."""
    if not frames:
        return pd.DataFrame({"arm": [], "seed": []})
    for column in frames[0].select_dtypes("category").columns:
        union = sorted(set().union(*(frame[column].cat.categories for frame in frames)))
        for frame in frames:
            frame[column] = frame[column].cat.set_categories(union)
    return pd.concat(frames, ignore_index=True)


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
