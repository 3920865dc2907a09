"""How far a study is, told while it runs: lines where there is no terminal, else studies/running/live.py."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from studies.directories import read_status

if TYPE_CHECKING:  # what is told of times must not wait for Optuna
    from studies.running.journal import Cell

STATUS_LINE_SECONDS = 10.0
LAST_METRICS_BYTES = 65_536


@dataclass(frozen=True)
class View:
    """What can be seen of a run from outside; `left` is in seconds."""

    phase: str
    step: int
    steps: int
    solve_rate: float | None
    left: float | None

    def __str__(self) -> str:
        solved = "" if self.solve_rate is None else f", solve rate {self.solve_rate:.2f}"
        left = "" if self.left is None else f", {duration(self.left)} left"
        return f"{self.phase} {self.step}/{self.steps}{solved}{left}"


class Watcher:
    """Looks at a running run, and learns its pace."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._phase = ""
        self._first = (0, 0.0)

    def look(self) -> View:
        """Return what the run's files say now."""
        status = read_status(self._directory)
        if status is None or status.state != "running":
            return View("starting", 0, 0, None, None)
        if status.phase != self._phase:
            self._phase, self._first = status.phase, (status.step, time.monotonic())
        done, seconds = status.step - self._first[0], time.monotonic() - self._first[1]
        left = seconds / done * (status.steps - status.step) if done > 0 else None
        rate = last_metrics(self._directory).get("rollout/solve_rate") if status.phase == "train" else None
        return View(status.phase, status.step, status.steps, rate, left)


class Progress(Protocol):
    """Is told what happens in a study."""

    def begin(self, finished: int, total: int, workers: int) -> None:
        """The first runs are about to start."""

    def started(self, cell: Cell, directory: Path) -> None:
        """A run began or went on."""

    def finished(self, cell: Cell, value: float) -> None:
        """A run finished, with this share of correct samples."""

    def again(self, cell: Cell, reason: str) -> None:
        """A run's worker ended with it; it is tried once more."""

    def failed(self, cell: Cell, reason: str, log: Path, tail: str) -> None:
        """A run failed; `tail` is the last it printed, `log` where the rest is."""

    def tick(self) -> None:
        """Some time passed."""

    def end(self) -> None:
        """Nothing runs any more."""


class Tally:
    """Runs counted, and the time that is left of a study."""

    def __init__(self) -> None:
        self.total = self.done = self.failed = self._done_before = 0
        self.running: dict[Cell, Watcher] = {}
        self._start = time.monotonic()

    def begin(self, finished: int, total: int) -> None:
        """Start the clock."""
        self.total, self.done, self._done_before = total, finished, finished
        self._start = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._start

    def left(self, views: Mapping[Cell, View]) -> float | None:
        """Return the seconds left at the pace so far, a step of training counting as its share of a run."""
        part = sum(view.step / view.steps for view in views.values() if view.steps and view.phase == "train")
        part += sum(1.0 for view in views.values() if view.phase == "evaluate")
        worked = self.done + self.failed - self._done_before + part
        remaining = self.total - self.done - self.failed - part
        return self.elapsed() / worked * remaining if worked > 0 else None

    def look(self) -> dict[Cell, View]:
        """Return a view of every running run."""
        return {cell: watcher.look() for cell, watcher in self.running.items()}


class PlainProgress:
    """A line for each event, and one line about all that runs every STATUS_LINE_SECONDS."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = Tally()
        self._last = time.monotonic()

    def begin(self, finished: int, total: int, workers: int) -> None:
        """The first runs are about to start."""
        self._tally.begin(finished, total)
        self._line(f"{total} runs: {finished} finished, {total - finished} to do with {workers} worker(s)")

    def started(self, cell: Cell, directory: Path) -> None:
        """A run began or went on."""
        self._tally.running[cell] = Watcher(directory)
        self._line(f"started   {name(cell)}")

    def finished(self, cell: Cell, value: float) -> None:
        """A run finished."""
        self._tally.running.pop(cell, None)
        self._tally.done += 1
        self._line(f"finished  {name(cell)}: {100 * value:.1f} % correct ({self._counts()})")

    def again(self, cell: Cell, reason: str) -> None:
        """A run's worker ended with it."""
        self._tally.running.pop(cell, None)
        self._line(f"again     {name(cell)}: {reason}")

    def failed(self, cell: Cell, reason: str, log: Path, tail: str) -> None:
        """A run failed."""
        self._tally.running.pop(cell, None)
        self._tally.failed += 1
        self._line(f"failed    {name(cell)}: {reason} ({self._counts()})")
        self._line(failure_details(log, tail))

    def tick(self) -> None:
        """Write the status line when it is time."""
        if time.monotonic() - self._last < STATUS_LINE_SECONDS:
            return
        views = self._tally.look()
        running = "; ".join(f"{name(cell)} {view}" for cell, view in views.items()) or "nothing"
        left = self._tally.left(views)
        ahead = "" if left is None else f", {duration(left)} left"
        self._line(f"{self._counts()}, {duration(self._tally.elapsed())} elapsed{ahead} | {running}")

    def end(self) -> None:
        """Nothing runs any more."""

    def _counts(self) -> str:
        failed = f", {self._tally.failed} failed" if self._tally.failed else ""
        return f"{self._tally.done}/{self._tally.total} finished{failed}"

    def _line(self, text: str) -> None:
        self._last = time.monotonic()
        self._stream.write(f"{text}\n")
        self._stream.flush()


def last_metrics(directory: Path) -> dict[str, Any]:
    """Return the last whole line of a run's metrics.jsonl."""
    try:
        with (directory / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LAST_METRICS_BYTES))
            lines = file.read().split(b"\n")
        return dict(json.loads(lines[-2])) if len(lines) > 1 else {}
    except (OSError, ValueError):
        return {}


def name(cell: Cell) -> str:
    """Return what lines call a run."""
    return f"{cell.arm}, seed {cell.seed}"


def duration(seconds: float) -> str:
    """Return a time span for reading."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def failure_details(log: Path, tail: str) -> str:
    """Return the last lines a failed run printed, and where the others are."""
    lines = [f"    | {line}" for line in tail.splitlines()]
    return "\n".join([*lines, f"    all of it: {log}"])
