"""A sweep's records beside its run directories: what tables and figures are made of, storage or not."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from studies.catalog import UsageError
from studies.configuring.requested import request
from studies.directories import read_json, run_directory, run_state
from studies.record import to_json
from studies.reporting.report import write_report
from studies.sweeping.space import Space
from studies.sweeping.trials import Trial, from_json
from training.run_dir import write_atomically

FILE = "trials.json"


class Asked(NamedTuple):
    """Names by which `studies.run` finds a study and a scale."""

    study: str
    scale: str


@dataclass(frozen=True)
class SweepRecord:
    """A sweep and its trials.

    Args:
        name: Of the sweep.
        title: Heading of its table.
        description: What `studies.sweeping.space.description` tells.
        wanted: How many trials there were to be.
        trials: In order.
        command: That makes the sweep again.
        reproduce: Command that makes the best trial's runs again; empty where there is none.
    """

    name: str
    title: str
    description: Mapping[str, Any]
    wanted: int
    trials: Sequence[Trial]
    command: str
    reproduce: str


def read_sweep(folder: Path) -> SweepRecord:
    """Return the sweep that a folder holds.

    Raises:
        UsageError: It holds none, or the file is damaged.
    """
    record = read_json(folder / FILE)
    if record is None:
        raise UsageError(f"{folder / FILE} is missing or cut off; no sweep was written there")
    try:
        return SweepRecord(**{**record, "trials": [from_json(each) for each in record["trials"]]})
    except (KeyError, TypeError) as error:
        raise UsageError(f"{folder / FILE}: not the record of a sweep: {error}") from None


def write_sweep(record: SweepRecord, folder: Path, space: Space, seeds: Sequence[int]) -> None:
    """Write a sweep's records: its trials, and study.json of their runs."""
    trials = [_seen(trial, folder, seeds) for trial in record.trials]
    record = dataclasses.replace(record, trials=trials)
    values = {**vars(record), "trials": [trial.to_json() for trial in trials]}
    write_atomically(folder / FILE, json.dumps(values, indent=1) + "\n")
    write_atomically(folder / "study.json", json.dumps(_study(record, space, seeds), indent=1) + "\n")


def _seen(trial: Trial, folder: Path, seeds: Sequence[int]) -> Trial:
    """Return the trial, recorded where its runs lie in the folder: other machines have others."""
    states = [run_state(run_directory(folder, trial.arm, seed)) for seed in seeds]
    return dataclasses.replace(trial, recorded=trial.state == "complete" and set(states) == {"finished"})


def _study(record: SweepRecord, space: Space, seeds: Sequence[int]) -> dict[str, Any]:
    runs: dict[str, Any] = {}
    for trial in record.trials:
        with contextlib.suppress(UsageError):  # such a trial has no run; it is told why it failed
            config = to_json(space.runs(trial.values, record.name, trial.arm, seeds)[0])
            runs[trial.arm] = {
                key: value for key, value in config.items() if key not in ("study", "arm", "seed")
            }
    return {
        "study": record.name,
        "title": record.title,
        "baseline": None,
        "baselines": {},
        "sections": ["sweep"],
        "published": None,
        "arms": list(runs),
        "seeds": list(seeds),
        "runs": runs,
        "sources": dict(record.description.get("sources", {})),
    }


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keep other processes that share the folder from writing its tables meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "journal.tables").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def report_again(folder: Path) -> str:
    """Write the tables and figures of a sweep from its folder alone; return the tables as Markdown."""
    record = read_sweep(folder)
    with writing(folder):
        return write_report(folder, folder, None, record.command)


def reproduce_command(space: Space, asked: Asked, seeds: Sequence[int], best: Trial | None) -> str:
    """Return the command by which `studies.run` makes a trial again; empty where its --set cannot.

    Args:
        space: What is swept.
        asked: By which `studies.run` finds study and scale.
        seeds: Of the sweep.
        best: The trial.
    """
    if best is None:
        return ""
    changes = space.changes_of(best.values)
    try:
        request(asked.study, [asked.scale], len(seeds), changes)
    except UsageError:  # the study compares what was swept
        return ""
    words = ["python", "-m", "studies.run", asked.study, "--scale", asked.scale, "--seeds", str(len(seeds))]
    return shlex.join([*words, *(word for change in changes for word in ("--set", change))])
