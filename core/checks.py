"""The checks that every part makes of its own fields."""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from core.protocols import KINDS


@cache
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _fields(part: object) -> Mapping[str, Any]:
    """Return what each field of a part takes."""
    return _hints(type(part))  # type: ignore[arg-type]  # a class can be hashed, whatever object says


def options(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return what a union is of; any other hint alone."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(option for inner in get_args(hint) for option in options(inner))
    return (hint,)


def is_number(value: object, *, whole: bool = False) -> bool:
    """Return whether a value is a finite number; neither True nor False is one."""
    kind = int if whole else int | float
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def check_fields(part: object) -> None:
    """Check that every field that holds words, parts or tuples of parts holds what its annotation says.

    Numbers are left to `check_range`.

    Raises:
        ValueError: A word that is none of those listed.
        TypeError: A part of another kind, told by its call's arguments and result.
    """
    for field, hint in _fields(part).items():
        value, wanted = getattr(part, field), [kind for kind in options(hint) if kind is not types.NoneType]
        if len(wanted) == 1 and (value is not None or hint is wanted[0]):
            _check(f"{type(part).__name__}.{field}", value, wanted[0])


def _check(label: str, value: object, kind: Any) -> None:  # noqa: ANN401
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{label}={value!r} must be {' or '.join(map(repr, get_args(kind)))}")
    elif get_origin(kind) is tuple:
        if not isinstance(value, tuple):
            raise TypeError(f"{label}={value!r} must be a tuple: (first, second), or (only,)")
        for place, each in enumerate(value):
            _check(f"{label}[{place}]", each, get_args(kind)[0])
    elif kind in KINDS:
        _check_call(label, value, kind)
    elif inspect.isclass(kind) and kind not in (int, float) and not isinstance(value, kind):
        raise TypeError(f"{label}={value!r} is no {kind.__name__}")


def _check_call(label: str, value: object, kind: type) -> None:
    if seen := misfit(value, kind):
        wanted = inspect.signature(kind.__call__)
        article = "an" if kind.__name__.startswith("A") else "a"
        raise TypeError(
            f"{label}={value!r} {seen}; {article} {kind.__name__} is called with "
            f"({', '.join(list(wanted.parameters)[1:])}) and returns {wanted.return_annotation}"
        )


def misfit(part: object, kind: type) -> str:
    """Return what keeps a part from being of a kind that is called; "" where nothing does."""
    if inspect.isclass(part):
        return f"is a class; write {part.__name__}(…) with its fields"
    wanted = inspect.signature(kind.__call__)
    found = inspect.signature(part) if callable(part) else None
    if found is None or not isinstance(part, kind):
        return "is not one" if found is None else "lacks " + ", ".join(_missing(part, kind))
    if len(found.parameters) != len(wanted.parameters) - 1:
        return f"is called with ({', '.join(found.parameters)})"
    # A file without postponed annotations holds the types themselves, whose names are what was written.
    returned = getattr(found.return_annotation, "__name__", found.return_annotation)
    if found.return_annotation is not found.empty and returned != wanted.return_annotation:
        return f"returns {returned}"
    return ""


def _missing(part: object, kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_") and not hasattr(part, name)]


def check_range(part: object, field: str, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise ValueError unless the part's field is a finite number in [low, high]; whole for ints."""
    value, whole = getattr(part, field), int in options(_fields(part)[field])
    if not (is_number(value, whole=whole) and low <= value <= high):
        bounds = f" in [{low}, {high}]" if math.isfinite(low) or math.isfinite(high) else ""
        kind = "whole" if whole else "finite"
        raise ValueError(f"{type(part).__name__}.{field}={value!r} must be a {kind} number{bounds}")


def check_bounds(part: object, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise ValueError unless the part's fields low and high are None or numbers in [low, high], in order."""
    given = [name for name in ("low", "high") if getattr(part, name) is not None]
    for name in given:
        check_range(part, name, low, high)
    if len(given) == 2 and part.low > part.high:  # type: ignore[attr-defined]
        raise ValueError(
            f"{type(part).__name__}.low={part.low} is above high={part.high}; nothing lies between them"  # type: ignore[attr-defined]
        )
