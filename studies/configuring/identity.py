"""Whether a results folder belongs to a study as it is configured now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.catalog import UsageError
from studies.configuring.resolve import Resolved
from studies.directories import read_json, run_directory, run_state
from studies.record import completed, to_json
from training.run_dir import write_atomically

PRESENTATION = ("title", "baseline", "baselines", "sections", "published", "seeds")
"""Keys of study.json that no run depends on."""
FREE = ("ranks",)
"""Settings of a run that it may go on with another value of: they change how its sums are rounded at most."""


def check_identity(resolved: Resolved, folder: Path) -> None:
    """Refuse a folder whose runs were made with another configuration.

    Both study.json and the config.json of every run directory count.

    Raises:
        UsageError: It lists each key that differs, with both values, and how to go on.
    """
    wanted = resolved.description()
    differing: dict[tuple[str, str, str], list[str]] = {}
    held = read_json(folder / "study.json")
    if held is not None:
        _compare(_identity(held), _identity(wanted), "", differing)
        for arm in wanted["arms"]:
            _compare(completed(held.get("runs", {}).get(arm, {})), wanted["runs"][arm], arm, differing)
    elif (folder / "study.json").exists():
        raise UsageError(f"{folder / 'study.json'} cannot be read; move {folder} away or use --results DIR")
    for run in resolved.runs:
        config = read_json(run_directory(folder, run.arm, run.seed) / "config.json")
        if config is not None:
            _compare(
                completed(config.get("run", {})), json.loads(json.dumps(to_json(run))), run.arm, differing
            )
    if differing:
        raise UsageError(_refusal(folder, differing, len(wanted["arms"])))


def write_description(resolved: Resolved, folder: Path) -> None:
    """Write study.json; seeds asked for earlier stay in it where they have finished runs."""
    description = resolved.description()
    held = read_json(folder / "study.json") or {}
    description["seeds"] = sorted({*resolved.seeds, *_finished_seeds(held, description["arms"], folder)})
    write_atomically(folder / "study.json", json.dumps(description, indent=1) + "\n")


def _finished_seeds(held: Mapping[str, Any], arms: list[str], folder: Path) -> list[int]:
    return [
        seed
        for seed in held.get("seeds", [])
        if any(run_state(run_directory(folder, arm, seed)) == "finished" for arm in arms)
    ]


def _identity(description: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in description.items() if key != "runs" and key not in PRESENTATION} | {
        "arms": sorted(description.get("arms", []))
    }


def _compare(held: Any, wanted: Any, arm: str, differing: dict[tuple[str, str, str], list[str]]) -> None:  # noqa: ANN401
    before, now = _flat(held), _flat(json.loads(json.dumps(wanted)))
    for key in dict.fromkeys([*before, *now]):
        if key in FREE:
            continue
        old, new = before.get(key, "not set"), now.get(key, "not set")
        if old != new:
            arms = differing.setdefault((key, json.dumps(old), json.dumps(new)), [])
            if arm and arm not in arms:
                arms.append(arm)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, Mapping) or not value:
        return {prefix: value} if prefix else {}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _refusal(folder: Path, differing: Mapping[tuple[str, str, str], list[str]], arms: int) -> str:
    lines = [f"{folder} was made with another configuration:"]
    for (key, old, new), where in differing.items():
        named = "" if not where or len(where) == arms else f" (arm {', '.join(where)})"
        lines.append(f"  {key}: {old} there, {new} now{named}")
    lines.append(f"Give --results DIR for another folder, or move {folder} away, to run this configuration.")
    return "\n".join(lines)
