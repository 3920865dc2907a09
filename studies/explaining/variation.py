"""Other values of settings, and the algorithms of which an algorithm consists."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

from core import Algorithm, Curriculum


def alternatives(value: object, kind: object = Any) -> tuple[Any, ...]:
    """Return other values of a setting; none for what is neither a number nor a choice.

    Some of them may be refused by the setting's owner.

    Args:
        value: The present one.
        kind: Its annotation, for choices and for what None stands in the place of.
    """
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    found = [choice for option in options if get_origin(option) is Literal for choice in get_args(option)]
    if value is None:
        found += [1, 2, 10] if int in options else []
        found += [1.0, 2.0, 10.0, 0.1, 0.5] if float in options else []
    elif type(None) in options:
        found.append(None)
    found += _other_numbers(value) if isinstance(value, int | float) else []
    found += _other_tuples(value) if isinstance(value, tuple) else []
    return tuple(dict.fromkeys(other for other in found if type(other) is not type(value) or other != value))


def _other_numbers(value: float) -> list[float]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value, value // 2, value - 1, 1, 0, -value]
    return [value + 0.25, 2.0 * value, value / 2.0, value / 20.0, value - 0.25, 0.0, 1.0, 0.5, -value]


def near(value: object, other: object) -> bool:
    """Return whether another value of a setting is within a factor of two or a step; choices always are."""
    numbers = (int, float)
    if not isinstance(value, numbers) or not isinstance(other, numbers) or isinstance(value, bool):
        return True
    low, high = sorted((value / 2, 2 * value))
    return low <= other <= high or abs(other - value) <= (1 if isinstance(value, int) else 0.25)


def _other_tuples(values: tuple[object, ...]) -> list[tuple[object, ...]]:
    """Return the tuple with one number changed, in all ways."""
    return [
        (*values[:place], other, *values[place + 1 :])
        for place, value in enumerate(values)
        if isinstance(value, int | float)
        for other in alternatives(value)
    ]


def algorithms_of(built: Algorithm | Curriculum, prefix: str = "") -> list[tuple[str, Algorithm]]:
    """Return the algorithms of all stages and of their side steps, with what their places are called."""
    found = []
    for stage in built.stages:
        inner = f"{prefix}{stage.algorithm.name}." if len(built.stages) > 1 else prefix
        found.append((inner, stage.algorithm))
        if stage.algorithm.aside is not None:
            found += algorithms_of(stage.algorithm.aside.algorithm, f"{inner}aside.")
    return found
