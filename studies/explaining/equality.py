"""Which registered algorithms are the same: their coefficients agree on all probes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from algorithms import ALGORITHMS
from studies.configuring.arguments import argument_types
from studies.explaining.asking import Refused
from studies.explaining.behavior import Behavior, Built, Tried, behavior, in_time, is_stateful
from studies.explaining.conditions import RELAXATIONS, Settings
from studies.explaining.standing import same_around, same_coefficients, standing


@dataclass(frozen=True)
class Equal:
    """Another algorithm with the same coefficients.

    Args:
        name: As registered.
        arguments: Those that the comparison gave it beyond the scale's and its own defaults.
        conditions: Relaxations under which the coefficients would differ; none: they never do.
        around: Whether rollouts, side steps and stages are the same too.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...]
    conditions: tuple[str, ...]
    around: bool

    def text(self, settings: Settings) -> str:
        """Return the statement."""
        given = ", ".join(f"{name}={value}" for name, value in self.arguments)
        called = f"{self.name}({given})" if given else self.name
        when = "always"
        if self.conditions:
            when = "under these settings (" + "; ".join(map(settings.condition, self.conditions)) + ")"
        rest = "" if self.around else ", but for what it asks of rollouts and side steps"
        return f"{called}: {when}{rest}"


def equals(
    built: Built,
    arguments: Mapping[str, Any],
    settings: Settings,
    defaults: Mapping[str, Mapping[str, Any]],
    skip: str = "",
) -> tuple[Equal, ...]:
    """Return the registered algorithms whose coefficients agree with an algorithm's under the settings.

    Each is tried with the scale's arguments, and with those that it shares by name with the algorithm.

    Args:
        built: The algorithm.
        arguments: Its arguments.
        settings: Of the training.
        defaults: The scale's arguments of registered algorithms, by name.
        skip: A registered name that is the algorithm's own; it is tried with the scale's arguments alone.
    """
    found = []
    for name, function in ALGORITHMS.items():
        usual = dict(defaults.get(name, {}))
        known = argument_types(function)
        shared = {key: value for key, value in arguments.items() if key in known and name != skip}
        choices = [_compared(name, built, usual, given, settings) for given in ({}, shared)]
        best = min(filter(None, choices), key=lambda equal: len(equal.conditions), default=None)
        if best is not None and not (name == skip and function(**usual) == built):
            found.append(best)
    return tuple(found)


def _compared(
    name: str, built: Built, usual: Mapping[str, Any], given: Mapping[str, Any], settings: Settings
) -> Equal | None:
    function = ALGORITHMS[name]
    try:
        other, plain = function(**{**usual, **given}), function(**usual)
    except (ValueError, TypeError):  # a value that is good for one algorithm may be refused by another
        return None

    def holds(relaxed: frozenset[str]) -> bool:
        return _same(built, other, settings.samples, relaxed)

    found = standing(holds, settings)
    if not found.holds:
        return None
    relaxed = frozenset(RELAXATIONS) - set(found.conditions)
    around = same_around(*(behavior(each, settings.samples, relaxed) for each in (built, other)))
    before = {name: p.default for name, p in inspect.signature(function).parameters.items()} | dict(usual)
    said = tuple((key, value) for key, value in given.items() if other != plain and value != before[key])
    return Equal(name, said, found.conditions, around)


def _same(mine: Built, other: Built, samples: int, relaxed: frozenset[str]) -> bool:
    """Return whether coefficients agree, at once and in time."""
    if not _agree(behavior, mine, other, samples, relaxed):
        return False
    return not (is_stateful(mine) or is_stateful(other)) or _agree(in_time, mine, other, samples, relaxed)


def _agree(tried: Tried, mine: Built, other: Built, samples: int, relaxed: frozenset[str]) -> bool:
    found, theirs = tried(mine, samples, relaxed), _of_other(tried, other, samples, relaxed)
    return theirs is not None and same_coefficients(found, theirs)


def _of_other(tried: Tried, other: Built, samples: int, relaxed: frozenset[str]) -> Behavior | None:
    """Return the behavior of an algorithm that is compared with; None where it refuses a step.

    Refusals of the explained algorithm are not caught: it could not be trained.
    """
    try:
        return tried(other, samples, relaxed)
    except Refused:
        return None
