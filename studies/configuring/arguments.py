"""Arguments of an algorithm: every one spelled out, checked against the function's signature."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_type_hints

from studies.catalog import UsageError, known
from studies.configuring.settings import parse_value

if TYPE_CHECKING:
    from studies.study import AlgorithmFunction


def argument_types(function: AlgorithmFunction) -> dict[str, Any]:
    """Return the type of each argument; Any where the function says none."""
    try:
        hints = get_type_hints(function)
    except NameError as error:
        raise UsageError(f"algorithm {function.__name__}: its annotations cannot be read: {error}") from error
    return {name: hints.get(name, Any) for name in inspect.signature(function).parameters}


def spell_out(label: str, function: AlgorithmFunction, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of an algorithm, from those given and the function's defaults.

    Args:
        label: What messages call the algorithm.
        function: The algorithm.
        given: Arguments as Python values, or as text from the command line.

    Raises:
        UsageError: An unknown argument, a missing one, a value of the wrong type, or one that the algorithm
            refuses.
    """
    kinds = argument_types(function)
    for name in given:
        known(f"argument of {label}", name, kinds)
    values: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in given and parameter.default is parameter.empty:
            raise UsageError(f"{label}.{name} has no default and is given neither by the study nor by --set")
        value = given.get(name, parameter.default)
        values[name] = parse_value(f"{label}.{name}", value, kinds[name])
    try:
        json.dumps(values)
    except TypeError as error:
        raise UsageError(f"{label}: an argument cannot be recorded as JSON: {error}") from error
    _compose(label, function, values)
    return values


def _compose(label: str, function: AlgorithmFunction, values: Mapping[str, Any]) -> None:
    """Build the algorithm once, so that a value it refuses is found before anything runs."""
    from core import Algorithm, Curriculum

    described = ", ".join(f"{name}={value}" for name, value in values.items())
    try:
        algorithm = function(**values)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{label}({described}): {error}") from error
    if not isinstance(algorithm, (Algorithm, Curriculum)):
        raise UsageError(
            f"{label} returned a {type(algorithm).__name__}, not a core.Algorithm or core.Curriculum"
        )
