"""Read metrics.jsonl fast, and line by line where anything is odd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from studies.reporting.json_files import DamagedRecordError, parse_object, required

METRICS = (
    "step",
    "data/rows",
    "data/offline_row_share",
    "data/offline_token_share",
    "data/tokens",
    "rollout/solve_rate",
    "rollout/response_tokens",
    "rollout/entropy",
)
_METRICS = frozenset(METRICS)
_OBJECTS: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def read_metrics(path: Path, steps: int) -> list[dict[str, Any]]:
    """Return the metrics that are numbers, an object for each step; there must be steps 1 to `steps`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DamagedRecordError(f"{path.name} is missing") from None
    records = _whole_lines(data)
    if records is None or not all(_METRICS.issubset(each) for each in records):
        records = _by_line(data, path.name)
    rows = [{key: value for key, value in each.items() if _is_number(value)} for each in records]
    found = [row["step"] for row in rows]
    if found != list(range(1, steps + 1)):
        at = next((line for line, step in enumerate(found, 1) if step != line), len(found))
        raise DamagedRecordError(f"{path.name} line {at}: the lines are not steps 1 to {steps}, each once")
    return rows


def _whole_lines(data: bytes) -> list[dict[str, Any]] | None:
    """Return the objects of a file with one a line; None where it is anything else."""
    try:
        records = _OBJECTS.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return records if len(records) == data.count(b"\n") else None


def _by_line(data: bytes, name: str) -> list[dict[str, Any]]:
    """Return the objects of a file, or raise DamagedRecordError with the first line that is wrong."""
    records = []
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        record = parse_object(_text(line, f"{name} line {number}"), name, number)
        for key in METRICS:
            required(record, key, f"{name} line {number}")
        records.append(record)
    return records


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DamagedRecordError(f"{name}: no UTF-8 text at byte {error.start}") from None


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
