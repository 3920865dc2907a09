"""What a study is: arms that differ in named ways, repeated over seeds."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import Algorithm, Curriculum
from studies.scales import Scale, Times

__all__ = ["AlgorithmFunction", "Arm", "Study", "Times", "grid", "told"]

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
            (`train.optimizer.learning_rate`); `Times(0.1)` is a tenth of the scale's.
        parts: Parts that are swapped once the algorithm is composed, by dotted name (`reinforce.mask`): the
            part itself, or its text (`"ClipMask(0.2)"`).
        baseline: Arm that this one's difference is taken against, where it is not the study's.
    """

    name: str
    algorithm: str | AlgorithmFunction | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    baseline: str | None = None


@dataclass(frozen=True)
class Study:
    """Arms × seeds, and what they are compared by and reported as.

    Args:
        name: Also the name of the folder under results/.
        title: Heading of the table.
        arms: Rows of the table, in order.
        seeds: Seeds of every arm: question order, sampling in training, and sampling in evaluation.
        baseline: Arm that differences are taken against.
        settings: Settings of all arms, by dotted name, over the scale's.
        scale_settings: Settings of all arms at a scale, by the scale's name, over `settings`.
        scales: Where it runs unless `--scale` says otherwise; at several, every arm runs at each of them.
        runs_of: Study whose runs it reports on, in place of runs of its own; its arms are some of that one's.
        sections: What is reported, by names in `studies.reporting.sections.SECTIONS`.
        published: Table of the paper that it makes again, by its name in `studies.published`.
    """

    name: str
    title: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    baseline: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    scale_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    scales: tuple[str, ...] = ("tiny",)
    runs_of: str | None = None
    sections: tuple[str, ...] = ("scores", "differences", "dynamics")
    published: str | None = None

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise ValueError(f"study {self.name!r}: arms need distinct names, at least one; twice: {twice}")
        for baseline in {self.baseline, *(arm.baseline for arm in self.arms)} - {None}:
            if baseline not in names:
                raise ValueError(f"study {self.name!r}: baseline {baseline!r} is none of its arms {names}")
        if not self.scales:
            raise ValueError(f"study {self.name!r}: scales must name at least one scale")

    def baseline_of(self, arm: Arm) -> str | None:
        """Return the arm that this one is compared with; None for a baseline itself."""
        baseline = arm.baseline or self.baseline
        return None if baseline == arm.name else baseline

    def presentation(self) -> dict[str, Any]:
        """Return what study.json holds of how the study is reported."""
        baselines = {arm.name: self.baseline_of(arm) for arm in self.arms}
        return {
            "study": self.name,
            "title": self.title,
            "baseline": self.baseline,
            "baselines": {arm: baseline for arm, baseline in baselines.items() if baseline is not None},
            "sections": list(self.sections),
            "published": self.published,
        }

    def at(self, scales: Sequence[Scale]) -> Study:
        """Return the study with its arms at each of several scales, named after them; itself at one."""
        if len(scales) == 1:
            return self
        arms = [self._placed(arm, scale) for scale in scales for arm in self.arms]
        return dataclasses.replace(self, arms=tuple(arms), baseline=None)

    def _placed(self, arm: Arm, scale: Scale) -> Arm:
        baseline = arm.baseline or self.baseline
        against = None if baseline is None else f"{scale.name} {baseline}"
        return dataclasses.replace(arm, name=f"{scale.name} {arm.name}", baseline=against)


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
