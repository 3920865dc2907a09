"""Read and check the files of one run directory; errors name the file and, where there is one, the line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from evaluation.records import Evaluation
from studies.record import completed
from studies.reporting.answer_files import read_answers
from studies.reporting.json_files import DamagedRecordError, read_object, required
from studies.reporting.metric_files import read_metrics
from studies.reporting.run_digests import check_digests

__all__ = ["DamagedRecordError", "RunFrames", "differences", "read_object", "read_run", "required"]
STATES = ("running", "failed", "finished")
SUITE_COLUMNS = ("version", "split", "questions", "samples", "sha256", "unlisted")


@dataclass
class RunFrames:
    """What a finished run holds.

    Args:
        samples: As `answer_files.read_answers` returns them.
        suites: One dictionary for each suite: its name and SUITE_COLUMNS.
        metrics: One for each step: the metrics that are numbers.
        validations: Samples of each validation, by step.
    """

    samples: pa.Table
    suites: list[dict[str, Any]]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    validations: dict[int, pa.Table] = field(default_factory=dict)


def read_run(
    directory: Path, config: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[dict[str, Any], RunFrames | None]:
    """Return state, reason and steps of a run, and what it holds if it is finished.

    Args:
        directory: The run directory.
        config: Its RunConfig as JSON.
        wanted: The same as study.json has it, completed, without study, arm and seed.
    """
    recorded = {key: value for key, value in config.items() if key not in ("study", "arm", "seed")}
    differing = differences(completed(recorded), wanted)
    if differing:
        raise DamagedRecordError(f"config.json differs from study.json in {', '.join(differing)}")
    status = read_object(directory / "status.json")
    check_digests(directory, status)
    state = required(status, "state", "status.json")
    if state not in STATES:
        raise DamagedRecordError(f"status.json: state {state!r} is none of {', '.join(STATES)}")
    if state != "finished":
        return {"state": state, "reason": str(status.get("reason") or "")}, None
    protocol = required(recorded, "evaluation", "config.json")
    result, samples = read_result(directory, protocol, config.get("seed"))
    frames = RunFrames(samples, _suites(result, protocol["suites"]))
    if recorded.get("algorithm") is None:
        return {"state": state}, frames
    steps = required(status, "steps", "status.json")
    frames.metrics = read_metrics(directory / "metrics.jsonl", steps)
    frames.validations = read_validations(directory / "validation")
    return {"state": state, "steps": steps}, frames


def differences(recorded: object, wanted: object, name: str = "") -> list[str]:
    """Return the dotted names of values that differ; a recorded path may be absolute."""
    if isinstance(recorded, Mapping) and isinstance(wanted, Mapping):
        keys = sorted({*recorded, *wanted})
        parts = [differences(recorded.get(key), wanted.get(key), f"{name}.{key}".lstrip(".")) for key in keys]
        return [found for part in parts for found in part]
    if isinstance(recorded, str) and isinstance(wanted, str):
        same = recorded == wanted or (recorded.startswith("/") and recorded.endswith(f"/{wanted}"))
        return [] if same else [name]
    return [] if recorded == wanted else [name]


def read_validations(directory: Path) -> dict[int, pa.Table]:
    """Return the samples of each validation by its step."""
    found = {}
    for folder in sorted(directory.glob("step-*")):
        try:
            found[int(folder.name.removeprefix("step-"))] = read_answers(folder)[1]
        except (OSError, ValueError) as error:
            told = str(error).replace(f"{folder}/", "")
            raise DamagedRecordError(f"validation/{folder.name}: {told}") from None
    return found


def read_result(directory: Path, protocol: Mapping[str, Any], seed: object) -> tuple[Evaluation, pa.Table]:
    """Return the final evaluation and its samples; protocol and seed must be those of config.json."""
    try:
        result, samples = read_answers(directory)
    except FileNotFoundError:
        raise DamagedRecordError("eval.json is missing") from None
    except ValueError as error:
        raise DamagedRecordError(str(error).replace(f"{directory}/", "")) from None
    held = json.loads(json.dumps(asdict(result.protocol)))
    differing = differences(held, protocol, "protocol")
    if differing:
        raise DamagedRecordError(f"eval.json differs from config.json in {', '.join(differing)}")
    if sorted(result.suites) != sorted(protocol["suites"]):
        raise DamagedRecordError(f"eval.json has suites {sorted(result.suites)}, not {protocol['suites']}")
    if result.seed != seed:
        raise DamagedRecordError(f"eval.json is of seed {result.seed}, config.json of seed {seed}")
    return result, samples


def _suites(result: Evaluation, names: list[str]) -> list[dict[str, Any]]:
    return [
        {"suite": suite} | {column: getattr(result.suites[suite], column) for column in SUITE_COLUMNS}
        for suite in names
    ]
