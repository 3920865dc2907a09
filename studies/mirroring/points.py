"""What a run has to show, as points of curves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from evaluation.records import read_header
from studies.directories import read_json, read_status
from studies.reporting.json_files import DamagedRecordError, parse_object, required


class Key(NamedTuple):
    """What tells a point from others: two with one key say the same."""

    step: int
    digest: str


@dataclass(frozen=True)
class Point:
    """Numbers at a step of a run.

    Args:
        step: Of training; the final evaluation is at the last.
        values: By name.
    """

    step: int
    values: Mapping[str, float]

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return Key(self.step, hashlib.sha256(json.dumps(self.values).encode()).hexdigest()[:16])


@dataclass(frozen=True)
class Shown:
    """What there is of a run now.

    Args:
        ended: Whether it is finished or failed.
        config: Its configuration; None where it has not begun.
        points: In the order of steps.
    """

    ended: bool
    config: Mapping[str, Any] | None
    points: tuple[Point, ...]


def read_run(directory: Path) -> Shown:
    """Return what there is of a run, which may be going on.

    Raises:
        DamagedRecordError: A file cannot be read; the message names it and the line.
    """
    status = read_status(directory)
    config = (read_json(directory / "config.json") or {}).get("run")
    if status is None or config is None:
        return Shown(False, None, ())
    # Validations before metrics: what is read later is not behind.
    points = [*_validations(directory), *_metrics(directory / "metrics.jsonl")]
    if status.state == "finished":
        points += _scores(directory, "eval", status.steps)
    ordered = sorted(points, key=lambda point: point.step)
    return Shown(status.state in ("finished", "failed"), config, tuple(ordered))


def _metrics(path: Path) -> Iterator[Point]:
    """Yield the steps; the end of a file that is being written may be half a line."""
    data = path.read_bytes() if path.is_file() else b""
    whole = data[: data.rfind(b"\n") + 1]
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            record = parse_object(line.decode(), path.name, number)
        except UnicodeDecodeError:
            raise DamagedRecordError(f"{path.name} line {number}: no UTF-8 text") from None
        step = int(required(record, "step", f"{path.name} line {number}"))
        yield Point(step, dict(_numbers(record)))


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and prefix + name != "step":
            yield f"{prefix}{name}", float(value)


def _validations(directory: Path) -> Iterator[Point]:
    for folder in sorted(directory.glob("validation/step-*")):
        yield from _scores(folder, "validation", int(folder.name.removeprefix("step-")))


def _scores(folder: Path, name: str, step: int) -> Iterator[Point]:
    """Yield the scores of an evaluation, if it is finished."""
    try:
        header = read_header(folder)
    except ValueError as error:
        raise DamagedRecordError(str(error)) from None
    if header is None or not header.finished:
        return
    scores = {suite: info.avg_at_k for suite, info in header.suites.items() if info.avg_at_k is not None}
    if scores:
        told = {f"{name}/{suite}": score for suite, score in scores.items()}
        yield Point(step, told | {f"{name}/mean": fmean(scores.values())})
