"""Read and check the files of one run directory; errors name the file and, where there is one, the line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.grading import OUTCOMES

# Responses stay on disk: no statistic needs them, and they are most of an eval.json.
SAMPLE_COLUMNS = ("suite", "question", "sample", "prompt_sha256", "outcome", "tokens", "truncated")
REPEATED_COLUMNS = ("suite", "question", "prompt_sha256", "outcome")
METRICS = (
    "step",
    "data/rows",
    "data/offline_row_share",
    "data/offline_token_share",
    "train/tokens",
    "rollout/solve_rate",
    "rollout/response_tokens",
    "policy/entropy",
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
    differing = differences(recorded, wanted)
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
    """Return the samples, and the suites with their versions; all the protocol asks for must be there."""
    record = read_object(path)
    if required(record, "protocol", path.name) != protocol:
        raise DamagedRecordError(f"{path.name}: its protocol is not that of config.json")
    described = required(record, "suites", path.name)
    if sorted(described) != sorted(protocol["suites"]):
        raise DamagedRecordError(f"{path.name}: has suites {sorted(described)}, not {protocol['suites']}")
    listed = required(record, "samples", path.name)
    for number, sample in enumerate(listed):
        for key in SAMPLE_COLUMNS:
            required(sample, key, f"{path.name} sample {number}")
    samples = pd.DataFrame([[sample[key] for key in SAMPLE_COLUMNS] for sample in listed])
    samples = (
        samples.set_axis(list(SAMPLE_COLUMNS), axis=1) if listed else pd.DataFrame(columns=SAMPLE_COLUMNS)
    )
    samples["question"] = samples["question"].astype(str)
    _check_samples(samples, described, protocol["samples"], path.name)
    suites = [
        {
            "suite": suite,
            "version": str(described[suite]["version"]),
            "questions": described[suite]["questions"],
        }
        for suite in protocol["suites"]
    ]
    return samples.astype(dict.fromkeys(REPEATED_COLUMNS, "category")), pd.DataFrame(suites)


def _check_samples(samples: pd.DataFrame, described: Mapping[str, Any], wanted: int, name: str) -> None:
    """Refuse outcomes that are none, and questions that have not samples 0 to `wanted` − 1, each once."""
    strange = sorted(set(samples["outcome"]) - set(OUTCOMES))
    if strange:
        raise DamagedRecordError(f"{name}: outcomes {strange} are none of {list(OUTCOMES)}")
    for (suite, question), numbers in samples.groupby(["suite", "question"])["sample"]:
        if sorted(numbers) != list(range(wanted)):
            raise DamagedRecordError(
                f"{name}: question {question!r} of suite {suite!r} has samples {sorted(numbers)}, "
                f"not 0 to {wanted - 1}"
            )
    asked = samples.groupby("suite")["question"].nunique().to_dict()
    if asked != {suite: entry["questions"] for suite, entry in described.items()}:
        raise DamagedRecordError(
            f"{name}: has samples of {asked} questions, which is not what its suites say"
        )
