"""The noise floor of a scale, and other studies' differences in its units."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from evaluation.config import EvalConfig
from studies.directories import read_json
from studies.reporting.cells import entries_of, heading
from studies.reporting.parts import NOTHING, Context, Section
from studies.reporting.records import Records
from studies.reporting.spending import limits

FLOOR_STUDY = "noise_floor"
FLOOR_FILE = "floor.json"

_UNLIKE_IN_SPEED = ("batch_size",)
"""Settings of an evaluation that do not change what is measured."""


class Floor(NamedTuple):
    """The noise between runs of the same arm, under one scale, protocol and length of training.

    Args:
        place: What it was measured under, as `place_of` tells it.
        sd: Standard deviation by suite or average, pooled over the arms.
        arms: The arms, and how many runs each had.
    """

    place: str
    sd: Mapping[str, float]
    arms: Mapping[str, int]


def place_of(run: Mapping[str, Any]) -> str:
    """Return what a floor is told apart by, as text: scale, evaluation protocol, steps; `run` is a record."""
    # What a record lacks did not exist when it was written: its default is what was done then.
    whole = dataclasses.asdict(EvalConfig(suites=())) | run["evaluation"]
    protocol = {key: value for key, value in whole.items() if key not in _UNLIKE_IN_SPEED}
    return json.dumps([run["scale"], protocol, run["train"]["steps"]], sort_keys=True)


def floor_text(records: Records, noise: pd.DataFrame) -> str:
    """Return floor.json: for each scale, protocol and length of training how much equal runs differ.

    Args:
        records: Of the study that repeats arms.
        noise: `run_noise.noise` of them.
    """
    runs = records.study.runs
    by_place: dict[str, list[str]] = {}
    for arm in records.study.arms:
        by_place.setdefault(place_of(runs[arm]), []).append(arm)
    floors = []
    for arms in by_place.values():
        own = noise[noise["arm"].isin(arms) & noise["sd"].notna()]
        if len(own):
            run = runs[arms[0]]
            place = {
                "scale": run["scale"],
                "protocol": run["evaluation"],
                "steps": run["train"]["steps"],
            }
            floors.append(place | _spreads(own))
    return json.dumps({"study": records.study.source, "floors": floors}, indent=1) + "\n"


def _spreads(noise: pd.DataFrame) -> dict[str, Any]:
    """Return the standard deviations of each arm, and pooled: variances weighted by degrees of freedom."""
    arms = [
        {
            "arm": arm,
            "k": int(part["runs"].max()),
            "sd": dict(zip(part["suite"], part["sd"], strict=True)),
        }
        for arm, part in noise.groupby("arm", sort=False)
    ]
    pooled = {}
    for suite, part in noise.groupby("suite", sort=False):
        degrees = part["runs"] - 1
        pooled[suite] = math.sqrt(float((part["sd"] ** 2 * degrees).sum() / degrees.sum()))
    return {"suites": list(pooled), "sd": pooled, "arms": arms}


def read_floors(directory: Path) -> dict[str, Floor]:
    """Return the floors beside a study's folder, by place; none where there is no floor.json."""
    record = read_json(directory.parent / FLOOR_STUDY / FLOOR_FILE) or {}
    found = {}
    for floor in record.get("floors", ()):
        like = {
            "scale": floor["scale"],
            "evaluation": floor["protocol"],
            "train": {"steps": floor["steps"]},
        }
        arms = {each["arm"]: each["k"] for each in floor["arms"]}
        found[place_of(like)] = Floor(place_of(like), floor["sd"], arms)
    return found


class InFloors(NamedTuple):
    """Differences in units of the floor, and what is to be said where there is none."""

    sections: Sequence[Section]
    notes: Sequence[str]


def floors_part(context: Context) -> InFloors:
    """Return the study's differences in units of the noise floor of their scale and protocol."""
    study, summary = context.records.study, context.summary
    floors = read_floors(context.records.directory)
    known, unknown = {}, []
    for arm in dict.fromkeys(summary.loc[summary["arm"].isin(study.baselines), "arm"]):
        floor = _floor_of(study.runs[arm], study.runs[study.baselines[arm]], floors)
        if floor is None:
            unknown.append(arm)
        else:
            known[arm] = floor
    notes = _unknown_notes(study.runs, unknown, floors)
    if not known:
        return InFloors([], notes)
    table = summary[summary["arm"].isin(known)].copy()
    table["floor"] = [_unit(known[entry["arm"]], entry) for entry in entries_of(table)]
    table["floors"] = table["difference"] / table["floor"]
    rows = [
        {"arm": arm} | {heading(entry["suite"]): _cell(entry["floors"]) for entry in entries_of(part)}
        for arm, part in table.groupby("arm", sort=False)
    ]
    data = table[["arm", "suite", "difference", "difference_seeds", "floor", "floors"]]
    told = "Differences in units of the noise floor"
    notes = [*_unit_notes(list(known.values())), *notes]
    return InFloors([Section("floors", told, pd.DataFrame(rows), notes, data=data)], [])


def _floor_of(
    run: Mapping[str, Any], baseline: Mapping[str, Any], floors: Mapping[str, Floor]
) -> Floor | None:
    """Return the floor of a comparison: of the trained arm where the other is the untrained policy."""
    trained = [each for each in (run, baseline) if each["algorithm"] is not None]
    # How long a run with a budget trains is not told by its steps.
    if any(limits(each) for each in trained):
        return None
    places = {place_of(each) for each in trained}
    return floors.get(places.pop()) if len(places) == 1 else None


def _unit(floor: Floor, entry: Mapping[str, Any]) -> float:
    """Return the standard deviation of the difference of two means of n runs of one arm: sd·√(2/n)."""
    seeds, sd = entry["difference_seeds"], floor.sd.get(entry["suite"], math.nan)
    return math.nan if pd.isna(seeds) or not sd > 0 else sd * math.sqrt(2 / seeds)


def _cell(floors: float) -> str:
    if pd.isna(floors):
        return NOTHING
    return f"{'−' if floors < 0 else '+'}{abs(floors):.1f}"


def _unit_notes(floors: Sequence[Floor]) -> list[str]:
    arms = "; ".join(
        dict.fromkeys(", ".join(f"{arm} ({k} runs)" for arm, k in floor.arms.items()) for floor in floors)
    )
    return [
        "One unit is the standard deviation of the difference between two means of as many runs each of one "
        "and the same arm, on the same questions: sd·√(2/n), with n the seeds that both arms have and sd "
        f"between runs as {FLOOR_STUDY} found it, pooled over {arms}.",
        "Between −2 and +2 units lies what runs of the same arm differ by 95 times in 100.",
    ]


def _unknown_notes(
    runs: Mapping[str, Mapping[str, Any]], arms: Sequence[str], floors: Mapping[str, Floor]
) -> list[str]:
    """Return which arms have no floor, and what would give them one."""
    limited = [arm for arm in arms if limits(runs[arm])]
    others = [arm for arm in arms if arm not in limited]
    notes = []
    if limited:
        notes.append("Runs that a budget ends have no noise floor: it is one of a number of steps.")
    if others:
        scales = "".join(f" --scale {scale}" for scale in dict.fromkeys(runs[arm]["scale"] for arm in others))
        known = " (the one that is known was measured under others)" if floors else ""
        notes.append(
            f"No noise floor is known for this scale and protocol, and this length of training{known}; "
            f"it is found for {', '.join(others)} by: python -m studies.run {FLOOR_STUDY}{scales}"
        )
    return notes
