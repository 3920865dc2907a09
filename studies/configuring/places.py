"""Where parts stand in an algorithm, by dotted name.

reinforce.mask, entropy.weight              a part of a term, the estimator's four among them
reinforce.rows.gate.threshold               what a part holds; elements of a tuple by their position
grpo.reinforce.mask                         in a curriculum the stage first, by its algorithm's name
rollouts.prefix.length, aside.threshold     what the algorithm asks of rollouts; its side steps
*.gate, reinforce.*.epsilon                 all places whose names match; * stands for any, dots included
kl, grpo.kl                                 a name that no term has yet: a term to add to the algorithm
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from core import Algorithm, Curriculum, PolicyGradient, Term
from core.protocols import LossTerm
from studies.catalog import UsageError, known
from studies.configuring.kinds import element_hint, field_hints, is_term

FOUR = tuple(field_hints(PolicyGradient))
ASKED = ("rollouts", "aside")
"""Fields of an algorithm beside its terms."""


class Place(NamedTuple):
    """Somewhere in an algorithm where a part stands.

    Args:
        name: What the place is called within what holds it.
        value: What stands there.
        hint: What can.
    """

    name: str
    value: object
    hint: Any


def whole(algorithm: Algorithm | Curriculum) -> Place:
    """Return an algorithm as the place that holds all others."""
    return Place(algorithm.name, algorithm, type(algorithm))


def find_place(algorithm: Algorithm | Curriculum, path: str) -> Place:
    """Return the place that a path names.

    Raises:
        UsageError: There is none, with the nearest names; or two; or it is a whole algorithm.
    """
    place, said = whole(algorithm), ""
    for name in path.split("."):
        place = step(place, name, said or algorithm.name)
        said = f"{said}.{name}".lstrip(".")
    if isinstance(place.value, Algorithm):
        names = ", ".join(inner.name for inner in places(place))
        raise UsageError(f"{said} is a whole algorithm; go on to one of its parts: {names}")
    return place


def new_term(algorithm: Algorithm | Curriculum, path: str) -> Place | None:
    """Return the place of a term that is yet to be added; None where a path leads into something else."""
    *outer, name = path.split(".")
    holder = whole(algorithm)
    try:
        for each in outer:
            holder = step(holder, each, each)
    except UsageError:
        return None
    fits = isinstance(holder.value, Algorithm) and name.isidentifier()
    return Place(name, None, LossTerm) if fits else None


def expanded(algorithm: Algorithm | Curriculum, pattern: str) -> list[str]:
    """Return the paths that a path with `*` stands for, the outermost of each branch; others as they are.

    Raises:
        UsageError: It matches no place.
    """
    if "*" not in pattern:
        return [pattern]
    found = [path for path in _paths(whole(algorithm)) if fnmatch.fnmatchcase(path, pattern)]
    if not found:
        raise UsageError(
            f"{pattern} matches no part of {algorithm.name}; its parts are {_outline(algorithm)}"
        )
    return [path for path in found if not any(path.startswith(f"{other}.") for other in found)]


def _paths(holder: Place, prefix: str = "") -> Iterator[str]:
    for place in places(holder):
        yield prefix + place.name
        yield from _paths(place, f"{prefix}{place.name}.")


def _outline(algorithm: Algorithm | Curriculum) -> str:
    return ", ".join(path for path in _paths(whole(algorithm)) if path.count(".") < 2)


def step(holder: Place, name: str, said: str) -> Place:
    """Return the place of that name in what stands at another, which messages call `said`."""
    found = places(holder)
    named = [place for place in found if place.name == name]
    if len(named) > 1:
        raise UsageError(
            f"{said} has two parts called {name}, and this could mean either; rename one of them"
        )
    if not found:
        raise UsageError(f"{said} is {holder.value!r}, which holds no part {name!r}")
    known(f"part of {said}", name, [place.name for place in found])
    return named[0]


def places(holder: Place) -> list[Place]:
    """Return where parts stand in what stands at a place."""
    node = holder.value
    if isinstance(node, Curriculum):
        return [Place(stage.algorithm.name, stage.algorithm, Algorithm) for stage in node.stages]
    if isinstance(node, Algorithm):
        return [Place(term.name, term, LossTerm) for term in node.terms] + _fields(node, ASKED)
    if isinstance(node, Term):
        return _fields(node.estimator, FOUR) + _fields(node, _names(node, but=("name", "estimator")))
    if isinstance(node, tuple):
        return [Place(str(i), each, element_hint(holder.hint, i)) for i, each in enumerate(node)]
    if dataclasses.is_dataclass(node):
        return _fields(node, _names(node, but=("name",) if is_term(node) else ()))
    return []


def _names(node: object, but: Iterable[str]) -> list[str]:
    return [name for name in field_hints(type(node)) if name not in but]


def _fields(node: object, names: Iterable[str]) -> list[Place]:
    hints = field_hints(type(node))
    return [Place(name, getattr(node, name), hints[name]) for name in names]


def rebuilt(node: object, new: Mapping[str, object]) -> object:
    """Return what holds parts, with new ones at the places of these names, all at once."""
    changed: dict[str, Any] = dict(new)
    if isinstance(node, tuple):
        return tuple(changed.get(str(i), each) for i, each in enumerate(node))
    if isinstance(node, Curriculum):
        stages = [(stage, changed.pop(stage.algorithm.name, stage.algorithm)) for stage in node.stages]
        changed["stages"] = tuple(dataclasses.replace(stage, algorithm=each) for stage, each in stages)
    elif isinstance(node, Algorithm):
        terms = [changed.pop(term.name, term) for term in node.terms]
        added = [changed.pop(name) for name in list(changed) if name not in ASKED]
        changed["terms"] = (*terms, *added)
    elif isinstance(node, Term):
        four = {name: changed.pop(name) for name in FOUR if name in new}
        changed["estimator"] = dataclasses.replace(node.estimator, **four)
    return dataclasses.replace(cast("Any", node), **changed)
