"""Other values of settings: of an algorithm's arguments, and of the fields of its parts."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from core import Algorithm, Curriculum

Path = tuple[str | int, ...]
QUIET = ("estimator",)
"""Fields that paths leave out, as `--set` does: reinforce.mask.low."""


@dataclass(frozen=True)
class PartField:
    """A field of a part, at every place where the algorithm holds that very part.

    Args:
        paths: Where, from the tuple of terms.
        value: What the field holds.
        kind: Its annotation.
    """

    paths: tuple[Path, ...]
    value: object
    kind: object

    def labels(self, algorithm: Algorithm) -> tuple[str, ...]:
        """Return what the places are called."""
        return tuple(_label(algorithm, path) for path in self.paths)


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


def fields_of(algorithm: Algorithm) -> tuple[PartField, ...]:
    """Return the fields of all parts of an algorithm's terms; a part held in several places counts once."""
    owners: dict[int, list[tuple[Path, object]]] = {}
    for path, part in _parts(algorithm.terms, ()):
        owners.setdefault(id(part), []).append((path, part))
    found = []
    for places in owners.values():
        part = places[0][1]
        kinds = _kinds(part)
        for each in dataclasses.fields(part):  # type: ignore[arg-type]
            value = getattr(part, each.name)
            if alternatives(value, kinds.get(each.name, Any)):
                paths = tuple((*path, each.name) for path, _ in places)
                found.append(PartField(paths, value, kinds.get(each.name, Any)))
    return tuple(found)


def changed(algorithm: Algorithm, field: PartField, value: object) -> Algorithm:
    """Return the algorithm with a field changed at all of its places.

    Raises:
        ValueError: A part, or what holds it, refuses the value.
        TypeError: Likewise.
    """
    terms: Any = algorithm.terms
    for path in field.paths:
        terms = _replaced(terms, path, value)
    return dataclasses.replace(algorithm, terms=terms)


def value_at(algorithm: Algorithm, path: Path) -> object:
    """Return what an algorithm holds at a path; None where its composition is another."""
    thing: Any = algorithm.terms
    for step in path:
        try:
            thing = thing[step] if isinstance(step, int) else getattr(thing, step)
        except (IndexError, TypeError, AttributeError):
            return None
    return thing


def _replaced(thing: Any, path: Path, value: object) -> Any:  # noqa: ANN401
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        return (*thing[:head], _replaced(thing[head], rest, value), *thing[head + 1 :])
    return dataclasses.replace(thing, **{head: _replaced(getattr(thing, head), rest, value)})


def _parts(thing: object, path: Path) -> Iterator[tuple[Path, object]]:
    if isinstance(thing, tuple):
        for place, child in enumerate(thing):
            yield from _parts(child, (*path, place))
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        yield path, thing
        for each in dataclasses.fields(thing):
            yield from _parts(getattr(thing, each.name), (*path, each.name))


def _kinds(part: object) -> dict[str, Any]:
    try:
        return get_type_hints(type(part))
    except NameError:  # annotations of a file that imports their names for type checkers alone
        return {}


def _label(algorithm: Algorithm, path: Path) -> str:
    first, *rest = path
    assert isinstance(first, int)
    words = [str(word) for word in rest if word not in QUIET]
    return ".".join([algorithm.terms[first].name, *words])
