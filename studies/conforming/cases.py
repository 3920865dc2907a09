"""Golden cases: what a loss of another library made of given inputs, and the files that hold them.

A file is a JSON object with a list `cases`, and one field that tells whose options they use:
`"options": "verl"`, or the peer's own name as a field (`"verl": "0.9.1"`). A bare list holds cases of the
paper's released code ("reference").
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PEERS = ("trl", "verl", "reference")


class BadFile(ValueError):
    """A file that holds no golden cases, or malformed ones; the message names the file and the case."""


@dataclass(frozen=True, eq=False)
class Case:
    """One golden case.

    Arrays are float64, masks and group ids among them; what is null is left out, and a null inside an array
    is NaN. An input or expectation that is an object of arrays has an entry for each, named "outer/inner".
    """

    name: str
    peer: str
    """Whose options `params` are: "trl", "verl" or "reference"."""
    source: str
    """Which function of the peer the numbers came from."""
    algorithm: str
    tags: tuple[str, ...]
    params: Mapping[str, Any]
    inputs: Mapping[str, Tensor]
    expected: Mapping[str, Tensor]
    micro_batches: tuple[tuple[int, ...], ...] = ()
    """Rows of each micro-batch, where the peer chose them by itself; empty: the options say."""


def read_cases(path: Path) -> list[Case]:
    """Return the cases of a file, in order.

    Raises:
        BadFile: The file can't be read, or is not what the module's docstring describes.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"{path} can't be read: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} is not JSON: {error}") from None
    peer, entries = _peer(content, path), content if isinstance(content, list) else content["cases"]
    cases = [_case(entry, peer, f"{path}, case {number}") for number, entry in enumerate(entries, start=1)]
    names = [case.name for case in cases]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadFile(f"{path}: two cases are called {twice[0]!r}; give each its own name")
    return cases


def _peer(content: object, path: Path) -> str:
    """Return whose options a file's cases use."""
    if isinstance(content, list) and content:
        return "reference"
    if not isinstance(content, dict) or not isinstance(content.get("cases"), list) or not content["cases"]:
        raise BadFile(
            f"{path} holds no golden cases: it must be an object with a list `cases`, or such a list"
        )
    named = {name for name in PEERS if name in content}
    if isinstance(stated := content.get("options"), str):
        named.add(stated)
    if len(named) != 1 or not named <= set(PEERS):
        raise BadFile(
            f"{path} must say whose options its cases use, by a field `options` that is one of "
            f"{', '.join(PEERS)}; found {', '.join(sorted(named)) or 'none'}"
        )
    return named.pop()


def _case(entry: object, peer: str, place: str) -> Case:
    if not isinstance(entry, dict):
        raise BadFile(f"{place} is not an object")
    wanted = {"name": str, "params": dict, "inputs": dict, "expected": dict}
    for field, kind in wanted.items():
        if not isinstance(entry.get(field), kind):
            raise BadFile(f"{place} has no {field} of type {kind.__name__}; it is no golden case of a loss")
    place = f"{place} ({entry['name']})"
    expected = dict(entry["expected"])
    if not isinstance(expected.get("loss"), int | float):
        raise BadFile(f"{place}: expected.loss is no number; it is no golden case of a loss")
    inputs = dict(_arrays(entry["inputs"], f"{place}, inputs"))
    if "mask" not in inputs or inputs["mask"].ndim != 2 or not {"logprobs", "vpreds"} & set(inputs):
        raise BadFile(f"{place}: inputs must hold a mask [row][token], and logprobs or vpreds")
    rows = expected.pop("micro_batches", None) or ()
    return Case(
        name=entry["name"],
        peer=peer,
        source=str(entry.get("source", "")),
        algorithm=str(entry.get("algorithm") or entry["params"].get("algorithm", "")),
        tags=tuple(entry.get("tags", ())),
        params=entry["params"],
        inputs=inputs,
        expected=dict(_arrays(expected, f"{place}, expected")),
        micro_batches=tuple(tuple(int(row) for row in batch) for batch in rows),
    )


def _arrays(values: Mapping[str, object], place: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{inner}", array) for inner, array in _arrays(value, f"{place}.{name}"))
        elif value is not None:
            yield name, _tensor(value, f"{place}.{name}")


def _tensor(value: object, place: str) -> Tensor:
    try:
        return torch.tensor(_filled(value), dtype=torch.float64)
    except (TypeError, ValueError):
        raise BadFile(f"{place} is not a rectangular array of numbers") from None


def _filled(value: object) -> object:
    if isinstance(value, list):
        return [_filled(each) for each in value]
    return math.nan if value is None else value
