"""Mirrors in event files, for TensorBoard."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from studies.mirroring.points import Point
from studies.mirroring.sinks import Place, Sink, needed


class TensorBoard:
    """Event files, a folder for each run."""

    forgets = True

    def __init__(self) -> None:
        needed("tensorboard", "tensorboard")
        self._writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter

    def holds(self, place: Place) -> bool:
        """Return whether there are event files."""
        return any(_event_files(place))

    def open(self, place: Place, purge_step: int | None) -> Sink:
        """Open another event file."""
        # Readers take files in the order of their names, which begin with the second they were made in.
        newest = max((int(path.name.split(".")[3]) for path in _event_files(place)), default=0)
        while 0 <= newest - int(time.time()) <= 1:
            time.sleep(0.05)
        fresh = not newest
        writer = self._writer(str(place.folder / place.run.name), purge_step=purge_step)
        if fresh:
            writer.add_text("config", f"```json\n{json.dumps(place.config, indent=1)}\n```", 0)
        return _EventFile(writer)


def _event_files(place: Place) -> list[Path]:
    return sorted((place.folder / place.run.name).glob("events.out.tfevents.*"))


class _EventFile:
    def __init__(self, writer: Any) -> None:  # noqa: ANN401
        self._writer = writer

    def write(self, points: Iterable[Point]) -> None:
        for point in points:
            for name, value in point.values.items():
                self._writer.add_scalar(name, value, point.step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
