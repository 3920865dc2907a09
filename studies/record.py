"""The record of a run: all that is needed to run it again, as JSON that refuses unknown keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evaluation.config import EvalConfig
from studies.validation import ValidationConfig
from training.config import TrainConfig


@dataclass(frozen=True)
class AlgorithmRecord:
    """An algorithm by name and arguments, every argument spelled out.

    Args:
        function: A name in `algorithms.ALGORITHMS`, or "path/to/file.py:function" outside the project.
        arguments: All keyword arguments, defaults included.
        parts: Parts swapped after that: each one's text by its dotted name (`reinforce.mask`).
    """

    function: str
    arguments: Mapping[str, Any]
    parts: Mapping[str, str] = field(default_factory=dict)

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


@dataclass(frozen=True)
class RunConfig:
    """One run of a study: an arm, a seed, and every setting resolved.

    Two runs with equal RunConfig give equal results on one machine.

    Args:
        study: Name of the study.
        arm: Name of the arm.
        seed: Of question order, sampling in training, and sampling in evaluation.
        scale: Name of the scale, whose settings these are but for what the arm and `--set` changed.
        policy: As the scale's, like all that follows.
        train_data: Training set.
        algorithm: None: the policy is evaluated as it is.
        train: Training settings.
        evaluation: Evaluation settings.
        threads: CPU threads of a worker.
        suite_data: Folder with the suites' jsonl files.
        policy_config: Entries of the policy's config.json that are changed when it is loaded.
        ranks: Processes of the run; it may go on with another number of them.
        validation: Evaluations in training.
    """

    study: str
    arm: str
    seed: int
    scale: str
    policy: str
    train_data: str
    algorithm: AlgorithmRecord | None
    train: TrainConfig
    evaluation: EvalConfig
    threads: int | None = None
    suite_data: str | None = None
    policy_config: Mapping[str, Any] = field(default_factory=dict)
    ranks: int = 1
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012


_RUN_CONFIG = TypeAdapter(RunConfig)


def to_json(run: RunConfig) -> dict[str, Any]:
    """Return the run as plain JSON values; `parts` only where some were swapped, as in records before it."""
    values: dict[str, Any] = _RUN_CONFIG.dump_python(run, mode="json")
    if values["algorithm"] is not None and not values["algorithm"]["parts"]:
        del values["algorithm"]["parts"]
    return values


def from_json(values: Mapping[str, Any]) -> RunConfig:
    """Return the run that `to_json` wrote; pydantic's ValidationError names what does not fit."""
    return _RUN_CONFIG.validate_python(values)


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's record with every setting that there is now.

    What a record lacks did not exist when it was written: its default is what was done then.

    Args:
        values: As `to_json` wrote it, or a part of it; returned as it is where it is no run's record.
    """
    nowhere = {"study": "", "arm": "", "seed": 0}
    try:
        full = to_json(from_json({**nowhere, **values}))
    except ValidationError:
        return dict(values)
    return {key: value for key, value in full.items() if key in values or key not in nowhere}


def read_run_config(directory: Path) -> RunConfig:
    """Return the configuration in a run directory's config.json."""
    return from_json(json.loads((directory / "config.json").read_text())["run"])
