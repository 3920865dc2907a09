"""Parts by name, with as much of their fields as a place has room for."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection


def compact(part: object, without: Collection[str] = ()) -> str:
    """Return a part with those fields alone that are not at their defaults.

    Args:
        part: The part; or parts, or a plain value.
        without: Fields of its own that are not shown.
    """
    if isinstance(part, tuple):
        inside = ", ".join(map(compact, part))
        return inside if _holds_parts(part) else f"({inside})"
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return getattr(part, "__name__", repr(part))
    said = []
    for each in dataclasses.fields(part):
        value = getattr(part, each.name)
        if each.name in without:
            continue
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            said.append(compact(value))
        elif each.default is dataclasses.MISSING or value != each.default:
            said.append(f"{each.name}={compact(value)}")
    return type(part).__name__ + (f"({', '.join(said)})" if said else "")


def outline(part: object) -> str:
    """Return a part's repr, with the parts that it holds by their names alone."""
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return getattr(part, "__name__", repr(part))
    said = [f"{each.name}={_inner(getattr(part, each.name))}" for each in dataclasses.fields(part)]
    return f"{type(part).__name__}({', '.join(said)})"


def _inner(value: object) -> str:
    if isinstance(value, tuple) and _holds_parts(value):
        inside = ", ".join(map(_inner, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({'…' if dataclasses.fields(value) else ''})"
    return getattr(value, "__name__", repr(value))


def shallow(part: object) -> str:
    """Return a part with its own fields alone, without the parts that it holds."""
    assert dataclasses.is_dataclass(part)
    values = {each.name: getattr(part, each.name) for each in dataclasses.fields(part)}
    said = [f"{name}={value!r}" for name, value in values.items() if not _holds_parts(value)]
    return f"{type(part).__name__}({', '.join(said)})"


def _holds_parts(value: object) -> bool:
    inside = value if isinstance(value, tuple) else (value,)
    return any(dataclasses.is_dataclass(each) for each in inside)
