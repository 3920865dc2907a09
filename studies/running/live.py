"""Progress on a terminal: a bar for the study and a line for each run that is under way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from studies.running.journal import Cell
from studies.running.progress import (
    PlainProgress,
    Progress,
    Tally,
    View,
    Watcher,
    duration,
    failure_details,
    name,
)

REFRESH_SECONDS = 0.5


class LiveProgress:
    """Redraws in place; what happened for good scrolls by above."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._last = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def begin(self, finished: int, total: int, workers: int) -> None:
        """The first runs are about to start."""
        self._tally.begin(finished, total)
        self._say(f"{total} runs: {finished} finished, {total - finished} to do with {workers} worker(s)")
        self._live.start()
        self._draw()

    def started(self, cell: Cell, directory: Path) -> None:
        """A run began or went on."""
        self._tally.running[cell] = Watcher(directory)
        self._draw()

    def finished(self, cell: Cell, value: float) -> None:
        """A run finished."""
        self._tally.running.pop(cell, None)
        self._tally.done += 1
        self._say(f"finished  {name(cell)}: {100 * value:.1f} % correct")

    def again(self, cell: Cell, reason: str) -> None:
        """A run's worker ended with it."""
        self._tally.running.pop(cell, None)
        self._say(f"again     {name(cell)}: {reason}", "yellow")

    def failed(self, cell: Cell, reason: str, log: Path, tail: str) -> None:
        """A run failed."""
        self._tally.running.pop(cell, None)
        self._tally.failed += 1
        self._say(f"failed    {name(cell)}: {reason}\n{failure_details(log, tail)}", "red")

    def tick(self) -> None:
        """Redraw when it is time."""
        if time.monotonic() - self._last >= REFRESH_SECONDS:
            self._draw()

    def end(self) -> None:
        """Take the bar away."""
        self._live.stop()

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style))

    def _draw(self) -> None:
        self._last = time.monotonic()
        self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        tally, views = self._tally, self._tally.look()
        left = tally.left(views)
        ahead = "?" if left is None else duration(left)
        failed = f", {tally.failed} failed" if tally.failed else ""
        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=max(tally.total, 1), completed=tally.done + tally.failed, width=30),
            f"{tally.done}/{tally.total} finished{failed}",
            f"{duration(tally.elapsed())} elapsed, {ahead} left",
        )
        runs = Table.grid(padding=(0, 2))
        for cell, view in views.items():
            runs.add_row(*_columns(cell, view))
        return Group(head, runs)


def _columns(cell: Cell, view: View) -> tuple[RenderableType, ...]:
    solved = "" if view.solve_rate is None else f"solve rate {view.solve_rate:.2f}"
    left = "" if view.left is None else f"{duration(view.left)} left"
    bar = ProgressBar(total=max(view.steps, 1), completed=view.step, width=15)
    return f"  {name(cell)}", view.phase, bar, f"{view.step}/{view.steps}", solved, left


def make_progress(stream: TextIO) -> Progress:
    """Return the progress that suits where it is shown."""
    console = Console(file=stream)
    live = console.is_terminal and not console.is_dumb_terminal
    return LiveProgress(console) if live else PlainProgress(stream)
