"""Read and check the files of one run directory; errors name the file and, where there is one, the line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.records import read_eval
from studies.record import completed

# Responses stay on disk: no statistic needs them, and they are most of an eval.json.
SAMPLE_COLUMNS = ("suite", "question", "sample", "prompt_sha256", "outcome", "earned", "truncated")
SUITE_COLUMNS = ("version", "split", "questions", "sha256")
REPEATED_COLUMNS = ("suite", "question", "prompt_sha256", "outcome")
METRICS = (
    "step",
    "data/rows",
    "data/offline_row_share",
    "data/offline_token_share",
    "data/tokens",
    "rollout/solve_rate",
    "rollout/response_tokens",
    "rollout/entropy",
)


class DamagedRecordError(ValueError):
    """A file of a study that is missing, cut off, or contradicts another one."""


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file."""
    try:
        return _parse_object(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        raise DamagedRecordError(f"{path.name} is missing") from None
    except UnicodeDecodeError as error:
        raise DamagedRecordError(f"{path.name}: no UTF-8 text at byte {error.start}") from None


def _parse_object(text: str, name: str, first_line: int = 1) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DamagedRecordError(f"{name} line {first_line + error.lineno - 1}: {error.msg}") from None
    if not isinstance(value, dict):
        raise DamagedRecordError(f"{name} line {first_line}: no JSON object")
    return value


def required(record: Mapping[str, Any], key: str, name: str) -> Any:  # noqa: ANN401
    """Return the value of a key; `name` says where it was looked for."""
    if key not in record:
        raise DamagedRecordError(f"{name}: no {key!r}")
    return record[key]


def read_run(
    directory: Path, config: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return state, reason and steps of a run, and its frames (samples, suites, metrics) if it is finished.

    Args:
        directory: The run directory.
        config: Its RunConfig as JSON.
        wanted: The same as study.json has it, without study, arm and seed.
    """
    recorded = {key: value for key, value in config.items() if key not in ("study", "arm", "seed")}
    differing = differences(completed(recorded), completed(wanted))
    if differing:
        raise DamagedRecordError(f"config.json differs from study.json in {', '.join(differing)}")
    status = read_object(directory / "status.json")
    state = required(status, "state", "status.json")
    if state not in ("running", "failed", "finished"):
        raise DamagedRecordError(f"status.json: state {state!r} is none of running, failed, finished")
    if state != "finished":
        return {"state": state, "reason": str(status.get("reason") or "")}, {}
    samples, suites = read_evaluation(
        directory / "eval.json", required(recorded, "evaluation", "config.json")
    )
    frames = {"samples": samples, "suites": suites}
    if recorded.get("algorithm") is None:
        return {"state": state}, frames
    steps = required(status, "steps", "status.json")
    frames["metrics"] = read_metrics(directory / "metrics.jsonl", steps)
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


def read_metrics(path: Path, steps: int) -> pd.DataFrame:
    """Return the metrics that are numbers, a row for each step; there must be steps 1 to `steps`."""
    rows = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                record = _parse_object(line, path.name, number)
                for key in METRICS:
                    required(record, key, f"{path.name} line {number}")
                rows.append({key: value for key, value in record.items() if _is_number(value)})
    except FileNotFoundError:
        raise DamagedRecordError(f"{path.name} is missing") from None
    found = [row["step"] for row in rows]
    if found != list(range(1, steps + 1)):
        at = next((line for line, step in enumerate(found, 1) if step != line), len(found))
        raise DamagedRecordError(f"{path.name} line {at}: the lines are not steps 1 to {steps}, each once")
    return pd.DataFrame(rows).astype("float64").astype({"step": "int64"})


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def read_evaluation(path: Path, protocol: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the samples with what each earned, and the suites; the protocol must be that of config.json."""
    try:
        result = read_eval(path)
    except FileNotFoundError:
        raise DamagedRecordError(f"{path.name} is missing") from None
    except ValueError as error:
        raise DamagedRecordError(str(error).replace(str(path), path.name)) from None
    held = json.loads(json.dumps(asdict(result.protocol)))
    differing = differences(held, protocol, "protocol")
    if differing:
        raise DamagedRecordError(f"{path.name} differs from config.json in {', '.join(differing)}")
    if sorted(result.suites) != sorted(protocol["suites"]):
        raise DamagedRecordError(f"{path.name} has suites {sorted(result.suites)}, not {protocol['suites']}")
    rows = [[getattr(sample, column) for column in SAMPLE_COLUMNS] for sample in result.samples]
    samples = pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS)).astype({"earned": "float64"})
    suites = [
        {"suite": suite} | {column: getattr(result.suites[suite], column) for column in SUITE_COLUMNS}
        for suite in protocol["suites"]
    ]
    return samples.astype(dict.fromkeys(REPEATED_COLUMNS, "category")), pd.DataFrame(suites)
