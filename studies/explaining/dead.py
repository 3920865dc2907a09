"""Settings that change nothing: found by changing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import Algorithm, Curriculum
from studies.catalog import UsageError
from studies.explaining.behavior import OFFERED, behavior, is_stateful, settled
from studies.explaining.conditions import GRADED, LEARNT, STALE, UNEVEN, Settings
from studies.explaining.standing import same_around, same_coefficients, standing
from studies.explaining.variation import (
    PartField,
    algorithms_of,
    alternatives,
    changed,
    fields_of,
    near,
    value_at,
)

Built = Algorithm | Curriculum
Build = Callable[..., Built]


@dataclass(frozen=True)
class Dead:
    """A setting whose other values leave every coefficient as it is.

    Args:
        labels: The argument, or the field in all of its places.
        value: What it is set to.
        conditions: Relaxations under which it would act; none: it never does.
        acts_at: Values far from its own at which it does act.
    """

    labels: tuple[str, ...]
    value: object
    conditions: tuple[str, ...]
    acts_at: tuple[object, ...] = ()

    def reason(self, settings: Settings) -> str:
        """Return why the setting changes nothing."""
        reasons = {
            STALE: "one update per rollout batch, so every ratio to the behavior policy is 1",
            GRADED: "every reward is 0 or 1",
            UNEVEN: f"every question has {settings.rollouts} and one demonstration",
            LEARNT: "one update per rollout batch, so the critic has not moved",
            OFFERED: "no demonstrations are collected for it",
        }
        said = "has no effect"
        if self.conditions:
            said = "cannot act: " + ", and ".join(reasons[name] for name in self.conditions)
        far = ", ".join(map(str, self.acts_at))
        return f"{said}; only values as far off as {far} act" if far else said


@dataclass(frozen=True)
class Examined:
    """The settings that were found dead, and those that could not be changed to another value."""

    dead: tuple[Dead, ...]
    unvaried: tuple[str, ...]


def examine(
    build: Build, arguments: Mapping[str, Any], kinds: Mapping[str, Any], settings: Settings
) -> Examined:
    """Change every argument of an algorithm and every field of its parts, one at a time.

    Fields that an argument sets are left to the argument.

    Args:
        build: Returns the algorithm, from keyword arguments.
        arguments: All of them.
        kinds: Their annotations.
        settings: Of the training.
    """
    found: list[Dead | None] = []
    unvaried: list[str] = []
    variants: list[Built] = []
    for name in arguments:
        dead, others = dead_argument(build, arguments, name, kinds.get(name, Any), settings)
        found.append(dead)
        variants += others
        if not others:
            unvaried.append(name)
    fields: list[Dead] = []
    for place, (prefix, algorithm) in enumerate(algorithms_of(build(**arguments))):
        others_here = [each[place][1] for each in map(algorithms_of, variants) if len(each) > place]
        fields += _dead_fields(algorithm, prefix, others_here, settings)
    return Examined((*(dead for dead in found if dead is not None), *fields), tuple(unvaried))


def _dead_fields(
    algorithm: Algorithm, prefix: str, variants: Sequence[Algorithm], settings: Settings
) -> list[Dead]:
    found = [
        dead_field(algorithm, field, settings, prefix)
        for field in fields_of(algorithm)
        if not any(_sets(variant, field) for variant in variants)
    ]
    return [dead for dead in found if dead is not None]


def dead_field(algorithm: Algorithm, field: PartField, settings: Settings, prefix: str = "") -> Dead | None:
    """Return a field of an algorithm's parts if it is dead.

    Args:
        algorithm: Whose parts they are.
        field: One of `fields_of(algorithm)`.
        settings: Of the training.
        prefix: What the field's places are called after.
    """
    others = _built(lambda other: changed(algorithm, field, other), alternatives(field.value, field.kind))
    labels = tuple(prefix + label for label in field.labels(algorithm))
    return _judged(algorithm, labels, field.value, others, settings)


def dead_argument(
    build: Build, arguments: Mapping[str, Any], name: str, kind: object, settings: Settings
) -> tuple[Dead | None, list[Built]]:
    """Return an argument if it is dead, and what its other values build."""
    others = _built(lambda other: build(**{**arguments, name: other}), alternatives(arguments[name], kind))
    return _judged(build(**arguments), (name,), arguments[name], others, settings), list(others.values())


def _sets(variant: Algorithm, field: PartField) -> bool:
    """Return whether an argument's other value changed the field."""
    return any(value_at(variant, path) != field.value for path in field.paths)


def _built(make: Callable[[Any], Built], values: Iterable[Any]) -> dict[object, Built]:
    """Return what can be built, by value: parts refuse values outside their ranges."""
    found: dict[object, Built] = {}
    for value in values:
        try:
            found[value] = make(value)
        except (ValueError, TypeError, UsageError):
            continue
    return found


def _judged(
    base: Built, labels: tuple[str, ...], value: object, others: Mapping[object, Built], settings: Settings
) -> Dead | None:
    """Return the setting if it is dead: if no value near its own acts."""
    close = [built for other, built in others.items() if near(value, other)]

    def holds(relaxed: frozenset[str]) -> bool:
        return not any(_acts(base, built, settings.samples, relaxed) for built in close)

    if not close or not holds(settings.relaxed):
        return None
    if is_stateful(base) and any(_acts_in_time(base, built) for built in close):
        return None
    conditions = standing(holds, settings).conditions
    if not conditions and not holds(settings.relaxed | {OFFERED}):
        conditions = (OFFERED,)
    far = [other for other in others if not near(value, other)]
    acts_at = [other for other in far if _acts(base, others[other], settings.samples, settings.relaxed)]
    return Dead(labels, value, conditions, tuple(acts_at))


def _acts(base: Built, other: Built, samples: int, relaxed: frozenset[str]) -> bool:
    """Return whether the other does anything else than the base; a step that a part refuses tells nothing."""
    try:
        then, now = behavior(other, samples, relaxed), behavior(base, samples, relaxed)
    except ValueError:
        return False
    return not (same_around(then, now) and same_coefficients(then, now))


def _acts_in_time(base: Built, other: Built) -> bool:
    try:
        return not same_coefficients(settled(other), settled(base))
    except ValueError:
        return False
