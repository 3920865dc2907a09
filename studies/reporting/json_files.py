"""Read JSON objects of records; errors name the file and, where there is one, the line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class DamagedRecordError(ValueError):
    """A file of a study that is missing, cut off, or contradicts another one."""


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file."""
    try:
        return parse_object(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        raise DamagedRecordError(f"{path.name} is missing") from None
    except UnicodeDecodeError as error:
        raise DamagedRecordError(f"{path.name}: no UTF-8 text at byte {error.start}") from None


def parse_object(text: str, name: str, first_line: int = 1) -> dict[str, Any]:
    """Return the JSON object that a text is; errors name its file and line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DamagedRecordError(f"{name} line {first_line + error.lineno - 1}: {error.msg}") from None
    if not isinstance(value, dict):
        raise DamagedRecordError(f"{name} line {first_line}: no JSON object")
    return value


def required(record: Mapping[str, Any], key: str, name: str) -> Any:  # noqa: ANN401
    """Return the value of a key; `name` says where it was looked for."""
    if key not in record:
        raise DamagedRecordError(f"{name}: no {key!r}")
    return record[key]
