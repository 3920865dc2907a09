"""Settings that change nothing: found by changing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import Algorithm
from studies.catalog import UsageError
from studies.explaining.behavior import OFFERED, Built
from studies.explaining.conditions import Settings
from studies.explaining.fields import PartField, changed, fields_of, value_at
from studies.explaining.trial import Trial
from studies.explaining.variation import algorithms_of, alternatives, near

Build = Callable[..., Built]


@dataclass(frozen=True)
class Dead:
    """A setting that leaves every coefficient as it is, at all values near its own.

    Args:
        labels: The argument, or the field in all of its places.
        value: What it is set to.
        conditions: Relaxations under which values near its own would act; none: they never do.
        acts_at: Values far from its own at which it does act, in order.
    """

    labels: tuple[str, ...]
    value: object
    conditions: tuple[str, ...]
    acts_at: tuple[object, ...] = ()

    def reason(self, settings: Settings) -> str:
        """Return why the setting changes nothing."""
        unseen = "no demonstrations are collected for it"
        reasons = [unseen if name == OFFERED else settings.reason(name) for name in self.conditions]
        why = f": {', and '.join(reasons)}" if reasons else ""
        if not self.acts_at:
            return f"cannot act{why}" if why else "has no effect"
        *others, last = map(str, self.acts_at)
        far = f"{', '.join(others)} and {last} do act" if others else f"{last} does act"
        return f"has no effect near its value{why}; {far}"


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
    trial = Trial(base, settings.samples)
    possible = {other: built for other, built in others.items() if trial.takes(built, settings.relaxed)}
    close = [built for other, built in possible.items() if near(value, other)]
    if not close or any(trial.acts(built, settings.relaxed) for built in close):
        return None
    conditions = trial.conditions(close, settings)
    if not conditions and not trial.silent(close, settings.relaxed | {OFFERED}):
        conditions = (OFFERED,)
    far = {other: built for other, built in possible.items() if not near(value, other)}
    acts_at = [other for other, built in far.items() if trial.acts(built, settings.relaxed)]
    return Dead(labels, value, conditions, tuple(sorted(acts_at, key=_order)))


def _order(value: object) -> tuple[bool, float, str]:
    """Return what sorts numbers before all else."""
    is_number = isinstance(value, int | float)
    return (not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value))
