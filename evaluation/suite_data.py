"""Files of questions: one JSON object a line, checked before anything is trained on a promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_suite_file(path: Path, gold: str = "answer") -> list[dict[str, Any]]:
    """Return the questions of a jsonl file.

    Args:
        path: The file; every row has `id`, `problem` and the gold column, other columns are free.
        gold: Column of the answer: text, or a list of accepted forms.

    Raises:
        ValueError: A row is unusable; the message names file, line and column.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file of questions")
    rows: list[dict[str, Any]] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = _parse(line)
            _check_row(row, gold)
            first = lines.setdefault(row["id"], number)
            if first != number:
                raise ValueError(f"column id: {row['id']!r} is already in line {first}")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: no questions")
    return rows


def check_suite_file(path: Path, gold: str = "answer") -> int:
    """Return how many questions a file holds, or raise ValueError as `read_suite_file` does."""
    return len(read_suite_file(path, gold))


def _parse(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"not an object but {type(row).__name__}")
    return row


def _check_row(row: Mapping[str, Any], gold: str) -> None:
    for column in ("id", "problem", gold):
        if column not in row:
            raise ValueError(f"column {column} is missing; there are {', '.join(row) or 'none'}")
    _check_text("id", row["id"])
    _check_text("problem", row["problem"])
    forms = row[gold] if isinstance(row[gold], list) else [row[gold]]
    if not forms:
        raise ValueError(f"column {gold} is an empty list")
    for form in forms:
        _check_text(gold, form)


def _check_text(column: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"column {column} must be text, not {json.dumps(value)}")
    if not value.strip():
        raise ValueError(f"column {column} is empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"column {column} holds half a surrogate pair: {error}") from error
