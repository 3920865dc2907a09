"""An arm's algorithm: its arguments from the scale, the command and the arm, then its parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from core import Algorithm, Curriculum, check_provided
from studies.catalog import PROJECT, UsageError, algorithm_reference, find_algorithm
from studies.configuring.arguments import spell_out
from studies.configuring.changes import Changes, advice, algorithm_label
from studies.configuring.parts import Swap, swap_parts
from studies.configuring.places import expanded, find_place
from studies.record import AlgorithmRecord
from studies.scales import Scale
from studies.study import Arm, Study


def _arguments(arm: Arm, scale: Scale, changes: Changes) -> dict[str, Any]:
    """Return all arguments of an arm's algorithm."""
    assert arm.algorithm is not None
    reference, label = algorithm_reference(arm.algorithm), algorithm_label(arm)
    given = {
        **scale.algorithm_arguments.get(reference, {}),
        **changes.arguments.get(label, {}),
        **arm.arguments,
    }
    return spell_out(label, find_algorithm(reference), given)


def record_algorithm(arm: Arm, scale: Scale, changes: Changes) -> AlgorithmRecord:
    """Return the record of an arm's algorithm, which composes it again.

    Raises:
        UsageError: An argument or part that is unknown, missing, refused, or impossible beside the others.
    """
    assert arm.algorithm is not None
    reference, label = algorithm_reference(arm.algorithm), algorithm_label(arm)
    swaps = [Swap(path, value) for path, value in arm.parts.items()]
    for path, text in changes.parts.get(label, {}).items():
        swaps.append(Swap(path, text, f"--set {label}.{path}"))
    swapped = swap_parts(_composed(arm, scale, changes), swaps, (Path.cwd(), PROJECT))
    try:
        check_provided(swapped.algorithm)
    except ValueError as error:
        raise UsageError(": ".join([*map(str, swaps), str(error)])) from error
    return AlgorithmRecord(reference, _arguments(arm, scale, changes), swapped.texts)


def refuse_decided(study: Study, scale: Scale, changes: Changes) -> None:
    """Refuse to swap what arms' own arguments decide: their names would say what is not so."""
    for label, parts in changes.parts.items():
        arms = [arm for arm in study.arms if arm.algorithm is not None and algorithm_label(arm) == label]
        composed = {arm.name: _composed(arm, scale, changes) for arm in arms}
        plain = _without_its_arguments(arms[0], scale, changes)
        first = next(iter(composed.values()))
        for path in [each for part in parts for each in expanded(first, part)]:
            own = {name: _part(algorithm, path) for name, algorithm in composed.items()}
            others = [*own.values(), *[_part(algorithm, path) for algorithm in plain]]
            if any(part != other for part in own.values() for other in others):
                raise UsageError(f"--set {label}.{path}: the study's arguments decide this {advice(own)}")


def _composed(arm: Arm, scale: Scale, changes: Changes) -> Algorithm | Curriculum:
    """Return an arm's algorithm before any swap."""
    assert arm.algorithm is not None
    return find_algorithm(algorithm_reference(arm.algorithm))(**_arguments(arm, scale, changes))


def _without_its_arguments(arm: Arm, scale: Scale, changes: Changes) -> list[Algorithm | Curriculum]:
    """Return what an arm would compose but for its own arguments; nothing where they must be given."""
    try:
        return [_composed(dataclasses.replace(arm, arguments={}), scale, changes)]
    except UsageError:
        return []


def _part(algorithm: Algorithm | Curriculum, path: str) -> object:
    """Return what stands at a path; why there is nothing, where there is nothing."""
    try:
        return find_place(algorithm, path).value
    except UsageError as error:
        return str(error)
