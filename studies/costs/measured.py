"""How fast runs were, from their records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from evaluation import samples
from studies.directories import read_json
from studies.record import RunConfig, from_json

MOST_RUNS = 12
"""Runs of other studies that are looked at."""


class _Taken(msgspec.Struct):
    seconds: float
    grading_seconds: float


_ANSWERS = msgspec.json.Decoder(_Taken)
_METRICS: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class Speed:
    """What one run took, as far as it got.

    Args:
        run: Its configuration.
        steps: That it took.
        seconds: Of them all.
        answers: In evaluation and validations.
        answer_seconds: Of them all, sampling and grading.
        response_tokens: Mean of the responses that it sampled or, without any, trained on; None: no step.
    """

    run: RunConfig
    steps: int = 0
    seconds: float = 0.0
    answers: int = 0
    answer_seconds: float = 0.0
    response_tokens: float | None = None


def measure(directory: Path) -> Speed | None:
    """Return how fast a run was; None where its records do not tell."""
    recorded = read_json(directory / "config.json")
    try:
        run = from_json(recorded["run"]) if recorded else None
    except (KeyError, ValidationError):
        return None
    if run is None:
        return None
    steps = _lines(directory / "metrics.jsonl", _METRICS)
    taken = [
        answer
        for path in (directory / samples.FILE, *sorted(directory.glob(f"validation/*/{samples.FILE}")))
        for answer in _lines(path, _ANSWERS)
    ]
    timed = [step for step in steps if "time/total" in step]
    return Speed(
        run,
        len(timed),
        timed[-1]["time/total"] if timed else 0.0,
        len(taken),
        sum(answer.seconds + answer.grading_seconds for answer in taken),
        _response_tokens(steps),
    )


def _lines(path: Path, decoder: msgspec.json.Decoder[Any]) -> list[Any]:
    """Return a file's objects; none of a file that is missing or damaged, which the tables tell."""
    try:
        data = path.read_bytes()
        return decoder.decode_lines(data[: data.rfind(b"\n") + 1])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return []


def _response_tokens(steps: Iterable[dict[str, Any]]) -> float | None:
    sampled = [step["rollout/response_tokens"] for step in steps if step.get("rollout/response_tokens")]
    if sampled:
        return float(sum(sampled)) / len(sampled)
    rows = sum(step.get("data/rows") or 0 for step in steps)
    tokens: float = sum(step.get("data/tokens") or 0 for step in steps)
    return tokens / rows if rows else None


def measure_all(directories: Iterable[Path]) -> list[Speed]:
    """Return the speeds of runs whose records tell them."""
    return [speed for directory in directories if (speed := measure(directory)) is not None]


def elsewhere(results: Path, folder: Path, scale: str) -> list[Speed]:
    """Return the speeds of runs of other studies at a scale, of some where there are many."""
    found = []
    for directory in _runs_at(results, folder, scale):
        speed = measure(directory)
        if speed is not None and (speed.steps or speed.answers):
            found.append(speed)
        if len(found) == MOST_RUNS:
            break
    return found


def _runs_at(results: Path, folder: Path, scale: str) -> Iterator[Path]:
    for path in sorted(results.glob("*/runs/*/config.json")):
        run = (read_json(path) or {}).get("run") or {}
        if run.get("scale") == scale and not path.is_relative_to(folder):
            yield path.parent
