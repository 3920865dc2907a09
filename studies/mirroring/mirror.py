"""Brings mirrors of runs to what their records say: no point twice, and none that was taken back."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from studies.catalog import UsageError
from studies.directories import read_json, run_directory
from studies.mirroring.points import Key, Point, Shown, read_run
from studies.mirroring.sinks import Place, Sink, Target
from studies.reporting.json_files import DamagedRecordError
from training.run_dir import write_atomically


class Passed(NamedTuple):
    """What a pass over all runs found.

    Args:
        written: Points that were new.
        ended: Whether every run is finished or failed.
        problems: Runs that could not be read, and why.
    """

    written: int
    ended: bool
    problems: tuple[str, ...]


@dataclass
class _State:
    """What a run's mirror holds: points that are there, and those that were about to be written."""

    attempt: int = 0
    there: set[Key] = field(default_factory=set)
    pending: set[Key] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path) -> _State:
        held = read_json(path) or {}
        keys = {name: {Key(*key) for key in held.get(name, [])} for name in ("there", "pending")}
        return cls(held.get("attempt", 0), keys["there"], keys["pending"])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = {"there": sorted(self.there), "pending": sorted(self.pending)}
        write_atomically(path, json.dumps({"attempt": self.attempt, **keys}))


class Mirror:
    """A study's mirrors of one kind.

    Args:
        folder: Of the study; mirrors lie in `mirrors/` there.
        name: Of the kind.
        target: The kind.
    """

    def __init__(self, folder: Path, name: str, target: Target) -> None:
        self._folder, self._name, self._target = folder, name, target
        self._sinks: dict[Path, Sink] = {}
        self._held = contextlib.ExitStack()
        self._locked = False

    def take(self) -> Passed:
        """Write what is new in all runs.

        Raises:
            UsageError: There is no study, or the tracker refuses, or another process mirrors it.
        """
        directories = wanted_runs(self._folder)
        self._lock()
        written, ended, problems = 0, True, []
        for directory in directories:
            try:
                shown = read_run(directory)
                written += self._write(directory, shown)
                ended = ended and shown.ended
            except DamagedRecordError as damage:
                problems.append(f"runs/{directory.name}: {damage}")
            else:
                if shown.ended:
                    self._close(directory)
        return Passed(written, ended, tuple(problems))

    def close(self) -> None:
        """Close what is open."""
        for directory in list(self._sinks):
            self._close(directory)
        self._held.close()
        self._locked = False

    def _lock(self) -> None:
        """Have no other process write the same mirror: it would write all points once more."""
        if self._locked:
            return
        path = self._folder / "mirrors" / f"{self._name}.lock"
        path.parent.mkdir(exist_ok=True)
        file = self._held.enter_context(path.open("a"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another process mirrors {self._folder} into {self._name}; wait for it"
            ) from None
        self._locked = True

    def _close(self, directory: Path) -> None:
        sink = self._sinks.pop(directory, None)
        if sink is not None:
            sink.close()

    def _write(self, directory: Path, shown: Shown) -> int:
        if shown.config is None or not shown.points:
            return 0
        path = self._folder / "mirrors" / f"{self._name}-state" / f"{directory.name}.json"
        state, now = _State.read(path), {point.key: point for point in shown.points}
        place = Place(self._folder / "mirrors" / self._name, directory, state.attempt, shown.config)
        if (state.there or state.pending) and not self._target.holds(place):
            state = _State(state.attempt)
        stale = {key for key in state.there if key not in now} | state.pending
        purge_step = None
        if stale:
            self._close(directory)
            purge_step = self._take_back(state, min(key.step for key in stale))
        new = {key: point for key, point in now.items() if key not in state.there}
        if new:
            place = Place(place.folder, directory, state.attempt, shown.config)
            state.pending = set(new)
            state.write(path)
            self._sink(place, purge_step).write(_in_order(new))
            state.there, state.pending = state.there | set(new), set()
        if new or stale:
            state.write(path)
        return len(new)

    def _take_back(self, state: _State, step: int) -> int | None:
        """Forget what the mirror holds from a step on; all of it where the tracker cannot forget."""
        state.pending = set()
        if not self._target.forgets:
            state.attempt += 1
            state.there = set()
            return None
        state.there = {key for key in state.there if key.step < step}
        return step

    def _sink(self, place: Place, purge_step: int | None) -> Sink:
        if place.run not in self._sinks:
            self._sinks[place.run] = self._target.open(place, purge_step)
        return self._sinks[place.run]


def _in_order(points: Mapping[Key, Point]) -> list[Point]:
    return sorted(points.values(), key=lambda point: point.step)


def wanted_runs(folder: Path) -> list[Path]:
    """Return the directories of a study's runs, of those as well that have not begun.

    Raises:
        UsageError: There is no study here, or it only reports on another one's runs.
    """
    held = read_json(folder / "study.json")
    if held is None:
        raise UsageError(f"{folder}: study.json is missing or damaged; name the folder of a study")
    if "runs_in" in held:
        raise UsageError(f"{folder} reports on the runs in {folder / held['runs_in']}; mirror that folder")
    return [run_directory(folder, arm, seed) for arm in held["arms"] for seed in held["seeds"]]
