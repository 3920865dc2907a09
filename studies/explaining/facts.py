"""Everything that is said of an algorithm, gathered; text and pages lay it out."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from algorithms import ALGORITHMS
from core import Algorithm, Curriculum, Term
from core.protocols import LossTerm
from studies.catalog import UsageError
from studies.explaining.asking import Refused
from studies.explaining.bias import find_bias
from studies.explaining.bounds import find_bounds
from studies.explaining.coefficient import formula
from studies.explaining.conditions import RELAXATIONS, Settings
from studies.explaining.dead import examine
from studies.explaining.docstrings import Docstring, module_of, read_docstring
from studies.explaining.equality import equals
from studies.explaining.explanation import (
    ArgumentFacts,
    Explanation,
    PartFacts,
    StageFacts,
    TermFacts,
)
from studies.explaining.groups import find_groups
from studies.explaining.metrics import logged
from studies.explaining.subject import Subject

ROLES = ("mask", "denominator", "advantage", "likelihood", "rows", "tokens", "aggregation")


def explain(subject: Subject) -> Explanation:
    """Return all that can be said of an algorithm before any run.

    Raises:
        UsageError: It cannot take a step that the trainer could give it.
    """
    try:
        return _explained(subject)
    except Refused as error:
        raise UsageError(
            f"{subject.name} cannot take a step that the trainer could give it: {error}"
        ) from error


def _explained(subject: Subject) -> Explanation:
    built, settings = subject.build(), subject.settings
    own, module = read_docstring(subject.function), read_docstring(module_of(subject.function))
    registered = subject.record.function if subject.record.function in ALGORITHMS else ""
    metrics: dict[str, str] = {}
    for stage in built.stages:
        metrics |= logged(stage.algorithm)
    stages = tuple(_stages(built, settings, subject.scale.algorithm_arguments))
    return Explanation(
        name=subject.name,
        function=subject.record.function,
        summary=summary_of(subject.function),
        arguments=_arguments(subject, own),
        swapped=tuple(subject.record.parts.items()),
        sources=tuple(dict.fromkeys([*own.sources, *module.sources])),
        differs=tuple(dict.fromkeys([*own.differs, *module.differs])),
        scale=subject.scale.name,
        settings=settings,
        stages=stages,
        equals=equals(
            built, subject.record.arguments, settings, subject.scale.algorithm_arguments, registered
        ),
        examined=examine(subject.build, subject.record.arguments, subject.kinds, settings),
        metrics=metrics,
    )


def _stages(
    built: Algorithm | Curriculum, settings: Settings, defaults: Mapping[str, Mapping[str, Any]]
) -> Iterator[StageFacts]:
    """Yield the stages, those of a curriculum by number and compared one by one."""
    if len(built.stages) == 1:
        yield _stage(("", ""), built.stages[0].algorithm, settings)
        return
    for place, stage in enumerate(built.stages):
        label = f"stage {place + 1}"
        title = f"{label}, {stage.algorithm.name}, {stage.share:.0%} of the steps"
        facts = _stage((title, label), stage.algorithm, settings)
        yield dataclasses.replace(facts, equals=equals(stage.algorithm, {}, settings, defaults))


def summary_of(function: Any) -> str:  # noqa: ANN401
    """Return what an algorithm is in one line: its module's words where that defines no other."""
    module = module_of(function)
    siblings = [other for other in ALGORITHMS.values() if module_of(other) is module]
    if len(siblings) <= 1 and read_docstring(module).summary:
        return read_docstring(module).summary
    said = read_docstring(function).summary.removeprefix("Compose ")
    return said[:1].upper() + said[1:]


def _arguments(subject: Subject, own: Docstring) -> tuple[ArgumentFacts, ...]:
    parameters = inspect.signature(subject.function).parameters
    return tuple(
        ArgumentFacts(name, value, parameters[name].default, own.arguments.get(name, ""))
        for name, value in subject.record.arguments.items()
    )


def _stage(
    titles: tuple[str, str], algorithm: Algorithm, settings: Settings, most: float = 1.0
) -> StageFacts:
    """Return what is said of an algorithm; `most` is the highest solve rate of questions that get there."""
    aside = algorithm.aside
    side = None
    if aside is not None:
        when = f"after every {aside.questions} questions with a solve rate of at most {aside.threshold}"
        # Rollouts of its own may be solved; without any, what counts are those that failed before.
        most_aside = 1.0 if "rollouts" in aside.algorithm.needs else aside.threshold
        side = _stage(
            (f"side steps of {aside.algorithm.name}, {when}", "side steps"),
            aside.algorithm,
            settings,
            most_aside,
        )
    plan = algorithm.rollouts
    asked = tuple(part_facts(role, part) for role, part in vars(plan).items() if part is not None)
    terms = tuple(_term(algorithm, index, settings) for index in range(len(algorithm.terms)))
    groups = find_groups(algorithm, settings.samples, most).text()
    bias = find_bias(algorithm, settings.samples).text()
    return StageFacts(*titles, algorithm, terms, asked, bias, groups, side)


def _term(algorithm: Algorithm, index: int, settings: Settings) -> TermFacts:
    term = algorithm.terms[index]
    bounds = find_bounds(algorithm, index, settings.samples)
    if not isinstance(term, Term):
        whole = part_facts("term", term)
        return TermFacts(term.name, whole, None, whole.inner, (), bounds)
    parts = tuple(part_facts(role, _held(term, role)) for role in ROLES)
    always = formula(algorithm, index, settings.samples, frozenset(RELAXATIONS))
    here = formula(algorithm, index, settings.samples, settings.relaxed)
    formulas = (always,) if here == always else (always, here)
    return TermFacts(term.name, None, term.weight, parts, formulas, bounds)


def _held(term: LossTerm, role: str) -> object:
    assert isinstance(term, Term)
    return getattr(term, role) if hasattr(term, role) else getattr(term.estimator, role)


def part_facts(role: str, part: object) -> PartFacts:
    """Return what a part's docstring says, and those of the parts that it holds."""
    inner = []
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        for each in dataclasses.fields(part):
            value = getattr(part, each.name)
            held = value if isinstance(value, tuple) else (value,)
            inner += [part_facts(each.name, child) for child in held if _is_part(child)]
    return PartFacts(role, part, read_docstring(part), tuple(inner))


def _is_part(value: object) -> bool:
    return (dataclasses.is_dataclass(value) and not isinstance(value, type)) or inspect.isfunction(value)
