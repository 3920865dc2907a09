"""What a study is: arms that differ in named ways, repeated over seeds."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core import Algorithm, Curriculum

AlgorithmFunction = Callable[..., Algorithm | Curriculum]


@dataclass(frozen=True)
class Arm:
    """One row of a study's table: an algorithm with its arguments, or the base policy untrained.

    Args:
        name: Label of the row, unique in the study.
        algorithm: Name in the registry `algorithms.ALGORITHMS`, or a function like those in it; None is the
            base policy as it is.
        arguments: Keyword arguments of the algorithm; what is left out comes from the scale, then from the
            function's own defaults.
        settings: Settings that this arm has otherwise than the scale, by dotted name
            (`train.optimizer.learning_rate`).
        parts: Parts that are swapped once the algorithm is composed, by dotted name (`reinforce.mask`): the
            part itself, or its text (`"ClipMask(0.2)"`).
    """

    name: str
    algorithm: str | AlgorithmFunction | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """Arms × seeds, and what they are compared by.

    Args:
        name: Also the name of the folder under results/.
        title: Heading of the table.
        arms: Rows of the table, in order.
        seeds: Seeds of every arm: question order, sampling in training, and sampling in evaluation.
        baseline: Arm that differences are taken against.
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    baseline: str | None = None

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise ValueError(f"study {self.name!r}: arms need distinct names, at least one; twice: {twice}")
        if self.baseline is not None and self.baseline not in names:
            raise ValueError(f"study {self.name!r}: baseline {self.baseline!r} is none of its arms {names}")


def grid(
    algorithm: str | AlgorithmFunction,
    *,
    parts: Mapping[str, tuple[Any, ...]] | None = None,
    **axes: tuple[Any, ...],
) -> tuple[Arm, ...]:
    """Return one arm for every combination of the axes' values, named after them.

    Args:
        algorithm: Name in the registry, or a function like those in it.
        parts: Parts to try in each place, by its dotted name: `{"reinforce.mask": (KeepAll(), ClipMask())}`.
        **axes: Values to try of each argument.
    """
    label = algorithm if isinstance(algorithm, str) else algorithm.__name__
    tried = [*axes.items(), *(parts or {}).items()]
    arms = []
    for values in itertools.product(*(values for _, values in tried)):
        pairs = [(key, value) for (key, _), value in zip(tried, values, strict=True)]
        described = ", ".join(f"{key}={told(value)}" for key, value in pairs)
        arguments, swapped = dict(pairs[: len(axes)]), dict(pairs[len(axes) :])
        arms.append(Arm(f"{label} {described}".strip(), algorithm, arguments, parts=swapped))
    return tuple(arms)


def told(value: object) -> str:
    """Return a value as an arm's name has it: parts by class and values, functions by name."""
    return (
        _short(value) if isinstance(value, tuple) or not isinstance(value, str | int | float) else str(value)
    )


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))}{',' if len(value) == 1 else ''})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = (getattr(value, each.name) for each in dataclasses.fields(value) if each.init)
        return f"{type(value).__name__}({', '.join(map(_short, held))})"
    return value.__name__ if inspect.isfunction(value) else repr(value)
