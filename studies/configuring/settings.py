"""Settings by dotted name: parsed by the type of the field they belong to, and applied to a scale."""

from __future__ import annotations

import ast
import dataclasses
import math
import types
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from studies.catalog import UsageError, known, relative_to_project
from studies.scales import Scale, Times

Part = TypeVar("Part")

PLACES = ("policy", "train_data", "suite_data", "train.critic.model")
"""Settings that name a file or folder, or something on the hub."""


def setting_types() -> dict[str, Any]:
    """Return the type of every setting of a scale by dotted name (`train.optimizer.learning_rate`)."""
    types_of = _leaves(Scale, "")
    return {key: kind for key, kind in types_of.items() if key not in ("name", "algorithm_arguments")}


def apply_settings(scale: Scale, values: Mapping[str, Any]) -> Scale:
    """Return the scale with settings changed, all of them at once, since some limit each other.

    Raises:
        UsageError: A name that is no setting, or a value that its field refuses.
    """
    kinds = setting_types()
    for key in values:
        known("setting", key, kinds)
    parsed = {key: parse_value(key, _at(scale, key, value), kinds[key]) for key, value in values.items()}
    for key in PLACES:
        if isinstance(parsed.get(key), str) and Path(parsed[key]).exists():
            parsed[key] = relative_to_project(Path(parsed[key]))
    try:
        return _rebuilt(scale, parsed)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _at(scale: Scale, key: str, value: object) -> object:
    """Return what a value is at a scale, which those in its units depend on."""
    if not isinstance(value, Times):
        return value
    try:
        return value.of(scale, key)
    except (TypeError, ValueError):
        raise UsageError(
            f"{key}: {value} of what is no number at scale {scale.name!r}; give a value"
        ) from None


def parse_value(key: str, value: object, kind: Any) -> Any:  # noqa: ANN401
    """Return a value as its field's type, from text or from Python.

    Raises:
        UsageError: It is not of that type, or not finite; named with the key and what was expected.
    """
    try:
        return as_kind(value, kind)
    except UsageError as error:
        raise UsageError(f"{key}={value}: {error}") from error


def as_kind(value: object, kind: Any) -> Any:  # noqa: ANN401
    """Return a value as a type, from text or from Python; UsageError says what was expected."""
    adapter = TypeAdapter[Any](kind)
    refusal = ""
    for reading in _readings(value, kind):
        try:
            found = adapter.validate_python(reading)
        except ValidationError as error:
            refusal = error.errors()[0]["msg"]
            continue
        if any(isinstance(number, float) and not math.isfinite(number) for number in _flat(found)):
            raise UsageError("must be finite")
        return found
    raise UsageError(f"{refusal[:1].lower()}{refusal[1:]}")


def _readings(value: object, kind: object) -> list[Any]:
    """Return what a text may mean, the likeliest first."""
    if not isinstance(value, str):
        return [value]
    if value.lower() in ("none", "null"):
        return [None, value]
    readings: list[Any] = [value]
    try:
        literal = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        literal = value
    # True and False are read from the text by bool fields alone: as values they would pass for 1 and 0.
    if literal is not value and (kind is Any or not isinstance(literal, bool)):
        readings.insert(0 if kind is Any else 1, literal)
    if _takes_tuple(kind):
        readings.append(tuple(item.strip() for item in value.strip("()[]").split(",") if item.strip()))
    return readings


def _takes_tuple(kind: object) -> bool:
    if get_origin(kind) in (Union, types.UnionType):
        return any(_takes_tuple(option) for option in get_args(kind))
    return get_origin(kind) is tuple


def _flat(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _leaves(part: type, prefix: str) -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, kind in get_type_hints(part).items():
        if name.startswith("__"):
            continue
        if dataclasses.is_dataclass(kind):
            leaves |= _leaves(kind, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            leaves[prefix + name] = kind
    return leaves


def _rebuilt(part: Part, values: Mapping[str, Any]) -> Part:
    changed: dict[str, Any] = {}
    deeper: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for key, value in values.items():
        head, dot, rest = key.partition(".")
        if dot:
            deeper[head][rest] = value
        else:
            changed[head] = value
    for head, inner in deeper.items():
        changed[head] = _rebuilt(getattr(part, head), inner)
    return dataclasses.replace(part, **changed)  # type: ignore[type-var]
