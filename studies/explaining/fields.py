"""Fields of the parts that an algorithm consists of, and the algorithm with one of them changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from core import Algorithm, Term
from core.needs import parts_of
from studies.explaining.variation import alternatives

Path = tuple[str | int, ...]


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


def fields_of(algorithm: Algorithm) -> tuple[PartField, ...]:
    """Return the fields of all parts of an algorithm's terms; a part held in several places counts once.

    So does a part of an estimator that a gate measures: the gate and the terms that train with it must hold
    the same.
    """
    measured = _measured(algorithm)
    owners: dict[Hashable, list[tuple[Path, object]]] = {}
    for path, part in _parts(algorithm.terms, ()):
        owners.setdefault(_identity(algorithm, path, part, measured), []).append((path, part))
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
    term = algorithm.terms[first]
    if isinstance(term, Term) and rest[0] == "estimator":  # `--set` leaves it out: reinforce.mask.low
        rest = rest[1:]
    return ".".join([term.name, *map(str, rest)])


def _measured(algorithm: Algorithm) -> list[object]:
    """Return the estimators that gates measure."""
    return [
        getattr(part, name) for part in parts_of(algorithm.terms) for name in getattr(part, "measures", ())
    ]


def _identity(algorithm: Algorithm, path: Path, part: object, measured: Sequence[object]) -> Hashable:
    """Return what is the same for parts that can only be changed together."""
    thing: Any = algorithm.terms
    for place, step in enumerate(path if measured else ()):
        thing = thing[step] if isinstance(step, int) else getattr(thing, step)
        if thing in measured:
            return (repr(thing), path[place + 1 :])
    return id(part)
