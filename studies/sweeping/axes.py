"""Axes of a sweep: what is varied, and over what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from studies.catalog import UsageError

Value = float | int | str


class Condition(NamedTuple):
    """What another axis must be for one to be varied."""

    key: str
    value: str


@dataclass(frozen=True)
class Axis:
    """What is varied, and over what.

    Args:
        key: Of a setting, argument or part, as `--set` takes it.
        distribution: Optuna's; choices are texts.
        when: What another axis must be; None: always varied.
    """

    key: str
    distribution: BaseDistribution
    when: Condition | None = None

    def __str__(self) -> str:
        when = f" if {self.when.key}={self.when.value}" if self.when else ""
        return f"{self.key}={self._space()}{when}"

    def _space(self) -> str:
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return f"choice({', '.join(map(str, choices))})"
            case FloatDistribution() | IntDistribution() as numbers:
                plain = isinstance(numbers, FloatDistribution)
                step = "" if numbers.step in ((None,) if plain else (1,)) else f", step={numbers.step!r}"
                log = ", log" if numbers.log else ""
                return f"{'float' if plain else 'int'}({numbers.low!r}, {numbers.high!r}{step}{log})"
        raise AssertionError(self.distribution)

    @property
    def logarithmic(self) -> bool:
        """Whether equal factors count as equal distances."""
        return bool(getattr(self.distribution, "log", False))

    @property
    def numeric(self) -> bool:
        """Whether values are numbers."""
        return not isinstance(self.distribution, CategoricalDistribution)

    def active(self, values: Mapping[str, Value]) -> bool:
        """Return whether it is varied where the axes before it have these values."""
        return self.when is None or values.get(self.when.key) == self.when.value

    def extremes(self) -> list[Value]:
        """Return every choice, or the lowest and the highest number."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return [str(choice) for choice in choices]
            case FloatDistribution() | IntDistribution() as numbers:
                return list(dict.fromkeys([numbers.low, numbers.high]))
        raise AssertionError(self.distribution)

    def points(self) -> list[Value]:
        """Return all values.

        Raises:
            UsageError: There are too many to count.
        """
        match self.distribution:
            case IntDistribution(low=low, high=high, step=step, log=False):
                return list(range(low, high + 1, step))
            case FloatDistribution(low=low, high=high, step=float(step)):
                return [min(low + index * step, high) for index in range(round((high - low) / step) + 1)]
            case CategoricalDistribution():
                return self.extremes()
        raise UsageError(f"--axis {self}: a grid needs step=, or choice(...)")

    def suggest(self, trial: optuna.Trial) -> Value:
        """Return the value that a trial is given."""
        match self.distribution:
            case CategoricalDistribution(choices=choices):
                return str(trial.suggest_categorical(self.key, choices))
            case FloatDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_float(self.key, low, high, step=step, log=log)
            case IntDistribution(low=low, high=high, step=step, log=log):
                return trial.suggest_int(self.key, low, high, step=step, log=log)
        raise AssertionError(self.distribution)


def as_text(value: Value) -> str:
    """Return a value as `--set` takes it."""
    return value if isinstance(value, str) else repr(value)


def suggest(axes: Sequence[Axis], trial: optuna.Trial) -> dict[str, Value]:
    """Return the values of a trial."""
    values: dict[str, Value] = {}
    for axis in axes:
        if axis.active(values):
            values[axis.key] = axis.suggest(trial)
    return values


def grid(axes: Sequence[Axis]) -> list[dict[str, Value]]:
    """Return every combination; the last axis varies fastest."""
    return list(_combinations(list(axes), {}))


def _combinations(axes: Sequence[Axis], values: dict[str, Value]) -> Iterator[dict[str, Value]]:
    if not axes:
        yield values
        return
    axis, *others = axes
    tried = [{axis.key: point} for point in axis.points()] if axis.active(values) else [{}]
    for more in tried:
        yield from _combinations(others, values | more)


def first_values(axes: Sequence[Axis]) -> dict[str, Value]:
    """Return each axis's first value, of those that are varied then."""
    values: dict[str, Value] = {}
    for axis in axes:
        if axis.active(values):
            values[axis.key] = axis.extremes()[0]
    return values


def probes(axes: Sequence[Axis]) -> Iterator[tuple[Axis, dict[str, Value]]]:
    """Yield values that try each end and choice of each axis, the others at their first."""
    by_key = {axis.key: axis for axis in axes}
    for axis in axes:
        chosen: dict[str, Value] = {}
        above = axis
        while above.when is not None:
            chosen[above.when.key] = above.when.value
            above = by_key[above.when.key]
        for value in axis.extremes():
            tried = [_pinned(each, chosen | {axis.key: value}) for each in axes]
            yield axis, first_values(tried)


def _pinned(axis: Axis, values: Mapping[str, Value]) -> Axis:
    if axis.key not in values:
        return axis
    value = values[axis.key]
    if isinstance(value, str):
        return Axis(axis.key, CategoricalDistribution([value]), axis.when)
    if isinstance(value, int):
        return Axis(axis.key, IntDistribution(value, value), axis.when)
    return Axis(axis.key, FloatDistribution(value, value), axis.when)
