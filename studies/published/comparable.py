"""Whether an arm's runs are what a published row is about, and if not, what differs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from studies.catalog import find_algorithm, find_scale
from studies.published.tables import Paper, Row, ScoreTable
from studies.reporting.summaries import samples_of

Run = Mapping[str, Any]
"""An arm's configuration, as study.json has it."""

NO_LIMITS = ("train.questions", "evaluation.limit")
"""Settings that leave something out where they are set, which no published run did."""


def find_row(run: Run, table: ScoreTable) -> Row | None:
    """Return the row that an arm makes again: of its model, algorithm and arguments."""
    for row in table.rows:
        if not row.other and has_model(run, row.scale, table.paper) and runs(run, row):
            return row
    return None


def runs(run: Run, row: Row) -> bool:
    """Return whether an arm has a row's algorithm with its arguments."""
    return has_algorithm(run, row.algorithm, row.arguments)


def has_algorithm(run: Run, algorithm: str | None, arguments: Mapping[str, Any]) -> bool:
    """Return whether an arm has an algorithm, and arguments of it as given."""
    record = run["algorithm"]
    if record is None or algorithm is None:
        return record is None and algorithm is None
    return record["function"] == algorithm and all(
        record["arguments"].get(name) == value for name, value in arguments.items()
    )


def has_model(run: Run, scale: str, paper: Paper) -> bool:
    """Return whether an arm trains the paper's model that a scale stands for, by the name in its path."""
    return _is_called(run["policy"], paper.models[scale])


def training_reasons(run: Run, scale: str, paper: Paper) -> list[str]:
    """Return in which settings an arm differs from the paper's runs of a model; none: it is comparable.

    Args:
        run: The arm's.
        scale: That stands for the model.
        paper: What it is compared with.
    """
    model = paper.models[scale]
    reasons = [] if has_model(run, scale, paper) else [_differs("policy", run["policy"], model)]
    reasons += _settings(run, paper.evaluation, NO_LIMITS[1:])
    if run["algorithm"] is None:
        return reasons
    wanted = dict(paper.training)
    data = wanted.pop("train_data")
    if not _is_called(run["train_data"], data):
        reasons.append(_differs("train_data", run["train_data"], data))
    reasons += _settings(run, wanted, NO_LIMITS[:1])
    budget = run["train"].get("budget") or {}
    reasons += [_differs(f"train.budget.{name}", value, None) for name, value in budget.items() if value]
    parts = run["algorithm"].get("parts") or {}
    return reasons + [_differs(name, part, "what the algorithm composes") for name, part in parts.items()]


def argument_reasons(run: Run, scale: str, arguments: Mapping[str, Any]) -> list[str]:
    """Return in which arguments an arm's algorithm differs from what a scale gives it.

    Args:
        run: The arm's.
        scale: That stands for the model.
        arguments: Those that the published row is about, over the scale's.
    """
    record = run["algorithm"]
    if record is None:
        return []
    name = record["function"]
    parameters = inspect.signature(find_algorithm(name)).parameters.values()
    own = find_scale(scale).algorithm_arguments.get(name, {})
    wanted = {each.name: each.default for each in parameters} | dict(own) | dict(arguments)
    found = record["arguments"]
    return [
        f"{name}.{key} {found.get(key)}, the scale's {value}"
        for key, value in json.loads(json.dumps(wanted)).items()
        if found.get(key) != value
    ]


def suite_reason(run: Run, suites: Sequence[str], paper: Paper) -> str:
    """Return why an arm's scores on suites are not the paper's; empty where they are."""
    absent = [suite for suite in suites if suite not in run["evaluation"]["suites"]]
    if absent:
        return f"not evaluated on {', '.join(absent)}"
    asked = {suite: samples_of(run["evaluation"], suite) for suite in suites}
    other = [
        f"{count} answers to a question of {suite}, published {paper.samples[suite]}"
        for suite, count in asked.items()
        if count != paper.samples[suite]
    ]
    return ", ".join(other)


def _settings(run: Run, wanted: Mapping[str, Any], unset: Sequence[str]) -> list[str]:
    published = {**wanted, **dict.fromkeys(unset)}
    found = {name: _value(run, name) for name in published}
    return [_differs(name, found[name], value) for name, value in published.items() if found[name] != value]


def _value(run: Run, name: str) -> Any:  # noqa: ANN401
    """Return a setting by its dotted name; what old records lack is None."""
    value: Any = run
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_called(source: str, name: str) -> bool:
    """Return whether a name on the hub or a path is that of something: any of its parts says so."""
    return name in {part.removesuffix(".parquet") for part in str(source).split("/")}


def _differs(name: str, here: object, published: object) -> str:
    told = "none" if published is None else published
    return f"{name} {here}, published {told}"
