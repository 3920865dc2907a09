"""What may stand where: the core's parts by name, and whether a value is what a field takes."""

from __future__ import annotations

import dataclasses
import inspect
import types
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

import core
from core.checks import misfit, options
from core.estimator import PolicyGradient
from core.protocols import KINDS, LossTerm
from core.rollouts import DemonstrationPrefix, DynamicSampling, RolloutPlan
from studies.catalog import UsageError, known

HELD: tuple[type, ...] = (PolicyGradient, RolloutPlan, DemonstrationPrefix, DynamicSampling)
"""Parts that others hold and nothing calls."""
PLAIN: tuple[type, ...] = (int, float, str, bool, types.NoneType)


def is_term(thing: object) -> bool:
    """Return whether something, or what a class makes, is a summand of an algorithm."""
    return all(hasattr(thing, name) for name in ("plan", "coefficients", "objective"))


def makes(thing: type, kind: type) -> bool:
    """Return whether the instances of a class are of a kind of parts."""
    if kind in KINDS:
        return not misfit(object.__new__(thing), kind)  # a kind is told without any field
    if kind is LossTerm:
        return is_term(thing)
    try:
        return issubclass(thing, kind)
    except TypeError:  # a protocol that cannot be asked
        return False


def _is_part(thing: object) -> bool:
    return (
        inspect.isclass(thing)
        and dataclasses.is_dataclass(thing)
        and (thing in HELD or is_term(thing) or any(makes(thing, kind) for kind in KINDS))
    )


PARTS: dict[str, type] = {name: getattr(core, name) for name in core.__all__ if _is_part(getattr(core, name))}
"""Every part that the core exports, by name."""


def parts_of_kind(kind: type) -> list[str]:
    """Return the names of the core's parts of a kind."""
    return [name for name, part in PARTS.items() if makes(part, kind)]


def find_part(name: str, hint: Any) -> type:  # noqa: ANN401
    """Return the core's part of that name, or raise UsageError with the nearest, and all that fit."""
    try:
        return PARTS[known("part", name, PARTS)]
    except UsageError as error:
        nearest = str(error).partition("; known:")[0]
        raise UsageError(f"{nearest}{' ' if nearest.endswith('?') else '; '}{taken_by(hint)}") from None


def taken_by(hint: Any) -> str:  # noqa: ANN401
    """Return in words what a field takes."""
    told = []
    for option in options(hint):
        if option is types.NoneType:
            told.append("None")
        elif not inspect.isclass(option):
            told.append(str(option).removeprefix("typing."))
        elif option in PLAIN:
            told.append(option.__name__)
        else:
            names = ", ".join(parts_of_kind(option))
            own = f"{names}; or one of your own, path/to/file.py:name"
            told.append(f"{option.__name__} ({own if names else 'composed by functions, not by a text'})")
    return f"taken here: {' or '.join(told)}"


def field_hints(owner: type) -> dict[str, Any]:
    """Return what each field of a part takes; Any where its annotation cannot be read."""
    try:
        hints = get_type_hints(owner)
    except (NameError, TypeError, AttributeError):
        hints = {}
    return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(owner) if field.init}


def element_hint(hint: Any, position: int) -> Any:  # noqa: ANN401
    """Return what the element at a position of a tuple takes."""
    for option in options(hint):
        inner = get_args(option)
        if get_origin(option) is tuple and inner:
            return inner[0] if inner[-1] is Ellipsis else inner[min(position, len(inner) - 1)]
    return Any


def takes_parts(hint: Any) -> bool:  # noqa: ANN401
    """Return whether a field may hold parts, not only numbers and words."""
    for option in options(hint):
        inner = get_args(option) if get_origin(option) is tuple else ()
        if any(takes_parts(each) for each in inner if each is not Ellipsis):
            return True
        if option is Any or (inspect.isclass(option) and option not in PLAIN):
            return True
    return False


class _RefusedError(Exception):
    """A value is not what one option of a union takes."""


def conform(value: object, hint: Any) -> Any:  # noqa: ANN401
    """Return a value as a field takes it: a whole number becomes a float where floats are taken.

    Raises:
        UsageError: The field takes no such value; what it takes is named.
    """
    refusals: dict[str, None] = {}
    for option in options(hint):
        if option is types.NoneType and value is not None and hint is not option:
            continue
        try:
            return _as_option(value, option)
        except _RefusedError as refusal:
            refusals[str(refusal)] = None
    raise UsageError(f"{value!r} {' and '.join(refusals)}; {taken_by(hint)}")


def _as_option(value: object, option: Any) -> Any:  # noqa: ANN401
    if option is Any:
        return value
    if get_origin(option) is tuple and takes_parts(option):
        return _as_tuple(value, option)
    if inspect.isclass(option) and option not in PLAIN:
        _check_instance(value, option)
        return value
    try:
        return TypeAdapter[Any](option).validate_python(value, strict=True)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise _RefusedError(f"is refused: {message[:1].lower()}{message[1:]}") from None
    except PydanticSchemaGenerationError:  # an annotation of a user's own that says nothing here
        return value


def _as_tuple(value: object, option: Any) -> tuple[Any, ...]:  # noqa: ANN401
    inner = get_args(option)
    if not isinstance(value, tuple) or (inner[-1] is not Ellipsis and len(inner) != len(value)):
        raise _RefusedError("is no tuple as wanted: write (first, second), or (only,)")
    return tuple(conform(each, element_hint(option, position)) for position, each in enumerate(value))


def _check_instance(value: object, option: type) -> None:
    if option in KINDS:
        if seen := misfit(value, option):
            raise _RefusedError(f"is no {option.__name__}" + ("" if seen == "is not one" else f": it {seen}"))
        return
    try:
        fits = isinstance(value, option)
    except TypeError:  # a protocol that cannot be asked
        return
    if not fits:
        raise _RefusedError(f"is no {option.__name__}")
