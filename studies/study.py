"""What a study is: arms that differ in named ways, repeated over seeds."""

from __future__ import annotations

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
    """

    name: str
    algorithm: str | AlgorithmFunction | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


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


def grid(algorithm: str | AlgorithmFunction, **axes: tuple[Any, ...]) -> tuple[Arm, ...]:
    """Return one arm for every combination of the axes' values, named after them."""
    label = algorithm if isinstance(algorithm, str) else algorithm.__name__
    arms = []
    for values in itertools.product(*axes.values()):
        arguments = dict(zip(axes, values, strict=True))
        described = ", ".join(f"{key}={value}" for key, value in arguments.items())
        arms.append(Arm(f"{label} {described}", algorithm, arguments))
    return tuple(arms)
