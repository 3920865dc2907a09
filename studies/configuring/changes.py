"""What `--set` changes: settings of the scale, and arguments and parts of a study's algorithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from algorithms import ALGORITHMS
from studies.catalog import UsageError, known
from studies.configuring.arguments import argument_types
from studies.configuring.parts import is_call, overlap
from studies.configuring.places import places, whole
from studies.configuring.settings import parse_value, setting_types
from studies.study import AlgorithmFunction, Arm, Study, told

GROUPS = ("train", "evaluation", "validation")


@dataclass(frozen=True)
class Changes:
    """The values of `--set`.

    Args:
        settings: By dotted name, as their fields' types.
        arguments: As text, by algorithm and argument.
        parts: As text, by algorithm and dotted name of the place.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_changes(study: Study, texts: Sequence[str]) -> Changes:
    """Return what the `key=value` texts of `--set` change in a study.

    Raises:
        UsageError: A key that is unknown, that no arm would notice, or whose values the study compares.
    """
    kinds = setting_types()
    functions = {algorithm_label(arm): arm.algorithm for arm in study.arms if arm.algorithm is not None}
    settings: dict[str, Any] = {}
    arguments: dict[str, dict[str, str]] = {}
    parts: dict[str, dict[str, str]] = {}
    for key, value in _pairs(texts).items():
        head, _, name = key.partition(".")
        if name and head in functions:
            kept = parts if _names_part(functions[head], name, value) else arguments
            kept.setdefault(head, {})[name] = value
        elif name and head not in GROUPS:
            raise UsageError(f"--set {key}: {_no_such_group(head, set(functions))}")
        else:
            settings[key] = parse_value(f"--set {key}", value, kinds[known("setting", key, kinds)])
    _refuse_axes(study, settings, arguments)
    _refuse_swapped(study, parts)
    return Changes(settings, arguments, parts)


def _names_part(algorithm: str | AlgorithmFunction, name: str, value: str) -> bool:
    """Return whether a name is that of a part: with a dot; without one, where no argument is called so.

    Without a dot it is a term's, one of those composed or one that the value adds.
    """
    function = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else algorithm
    if "." in name or function is None or name in argument_types(function):
        return "." in name
    if is_call(value):
        return True
    try:
        composed = function()
    except (ValueError, TypeError):  # told when the arm is composed
        return False
    return name in [place.name for place in places(whole(composed))]


def algorithm_label(arm: Arm) -> str:
    """Return what `--set` and messages call an arm's algorithm."""
    return arm.algorithm if isinstance(arm.algorithm, str) else getattr(arm.algorithm, "__name__", "")


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key:
            raise UsageError(f"--set {text}: must be key=value")
        if pairs.setdefault(key, value) != value:
            raise UsageError(f"--set {key}: given twice, as {pairs[key]} and {value}")
    return pairs


def _no_such_group(head: str, labels: set[str]) -> str:
    if head in ALGORITHMS:
        return f"no arm of this study uses {head}; its algorithms: {', '.join(sorted(labels)) or 'none'}"
    try:
        known("algorithm or group of settings", head, labels | set(GROUPS))
    except UsageError as error:
        return str(error)
    raise AssertionError(f"{head} is a group after all")


def _refuse_axes(
    study: Study, settings: Mapping[str, Any], arguments: Mapping[str, Mapping[str, str]]
) -> None:
    """Refuse what would make arms equal whose difference the study is about."""
    for label, values in arguments.items():
        for name in values:
            given = {arm.name: arm.arguments[name] for arm in study.arms if _gives(arm, label, name)}
            if given:
                raise UsageError(f"--set {label}.{name}: the study sets this itself {advice(given)}")
    for key in settings:
        given = {arm.name: arm.settings[key] for arm in study.arms if key in arm.settings}
        if len({str(value) for value in given.values()}) > 1:
            raise UsageError(f"--set {key}: the study compares values of this setting {advice(given)}")


def _refuse_swapped(study: Study, parts: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse a part where arms have one of their own, or hold it in one of their own."""
    for label, values in parts.items():
        for path in values:
            given = {
                arm.name: f"{own}={told(value)}"
                for arm in study.arms
                for own, value in arm.parts.items()
                if arm.algorithm is not None and algorithm_label(arm) == label and overlap(own, path)
            }
            if given:
                raise UsageError(f"--set {label}.{path}: the study sets this itself {advice(given)}")


def _gives(arm: Arm, label: str, name: str) -> bool:
    return arm.algorithm is not None and algorithm_label(arm) == label and name in arm.arguments


def advice(given: Mapping[str, Any]) -> str:
    """Return the arms' own values in words, and what to do to change them."""
    listed = ", ".join(f"{arm}: {value}" for arm, value in given.items())
    return f"({listed}); change it in a copy of the study file and run that"
