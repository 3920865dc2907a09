"""What the page tells of a study beside its tables: configurations, verdicts of the grader, provenance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from evaluation.grading import OUTCOMES
from studies.directories import PRUNED, read_json, run_directory
from studies.reporting.parts import NOTHING, Context, Section
from studies.reporting.records import Records


def summary_line(records: Records) -> str:
    """Return what ran, in one line."""
    study, runs = records.study, records.runs
    scales = list(dict.fromkeys(str(study.runs[arm]["scale"]) for arm in study.arms))
    finished = int((runs["state"] == "finished").sum())
    return " · ".join(
        [
            f"{'Scale' if len(scales) == 1 else 'Scales'} {', '.join(scales)}",
            _counted(len(study.arms), "arm"),
            f"{'seed' if len(study.seeds) == 1 else 'seeds'} {', '.join(map(str, study.seeds))}",
            f"{finished} of {_counted(len(runs), 'run')} finished",
        ]
    )


def unfinished(context: Context) -> list[str]:
    """Return one line for each arm whose runs are not all finished, but for trials that a sweep pruned."""
    runs, told = context.records.runs, context.summary.drop_duplicates("arm")
    pruned = set(runs[runs["reason"].str.startswith(PRUNED)]["arm"])
    pairs = zip(told["arm"], told["status"], strict=True)
    return [f"{arm}: {status}" for arm, status in pairs if status != "complete" and arm not in pruned]


def configurations(records: Records) -> tuple[Section, list[tuple[str, str]]]:
    """Return the settings in which arms differ, a column for each arm, and those that all share."""
    study = records.study
    settings = {arm: dict(_flat(study.runs[arm])) for arm in study.arms}
    every = dict.fromkeys(key for found in settings.values() for key in found)
    # Where one arm has nothing and another has fields, the fields tell it.
    keys = [key for key in every if not any(other.startswith(f"{key}.") for other in every)]
    rows, shared = [], []
    for key in keys:
        values = [found.get(key, NOTHING) for found in settings.values()]
        if len(set(values)) == 1:
            shared.append((key, values[0]))
        else:
            rows.append({"setting": key} | dict(zip(study.arms, values, strict=True)))
    cells = pd.DataFrame(rows, columns=["setting", *study.arms])
    notes = [f"{NOTHING} : the arm has no such setting."] * any(NOTHING in row.values() for row in rows)
    return Section("configurations", "Settings in which arms differ", cells, notes), shared


def _flat(value: object, name: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}".lstrip("."))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def verdicts(context: Context) -> Section:
    """Return how many answers of each arm came to which outcome, in all suites together."""
    summary, suites = context.summary, context.records.study.suites
    counted = [*OUTCOMES, "truncated"]
    rows = []
    for arm, part in summary[summary["suite"].isin(suites)].groupby("arm", sort=False):
        sums = {name: part[name].sum(min_count=1) for name in counted}
        told = {name: NOTHING if pd.isna(count) else f"{int(count):,}" for name, count in sums.items()}
        rows.append({"arm": str(arm)} | told)
    notes = [
        "Answers of the evaluations of finished runs. What is unparseable, timed out or failed is no wrong "
        "answer, but earns nothing; truncated answers ended at the limit of their length and are counted "
        "under their outcome, too."
    ]
    return Section("verdicts", "What the grader said", pd.DataFrame(rows), notes)


def provenance(records: Records) -> Section:
    """Return what the runs were made with: a column for each combination of commit, machine and versions."""
    groups: dict[str, list[str]] = {}
    for arm, seed in zip(records.runs["arm"], records.runs["seed"], strict=True):
        config = read_json(run_directory(records.directory, arm, seed) / "config.json") or {}
        found = config.get("provenance") or {}
        if found:
            held = {key: value for key, value in found.items() if key != "started"}
            groups.setdefault(json.dumps(held, sort_keys=True), []).append(f"{arm}, seed {seed}")
    if not groups:
        told = ["No run has recorded what it was made with."]
        return Section("provenance", "Versions and commit", pd.DataFrame(), told)
    columns = {
        f"all {len(runs)} runs" if len(runs) == len(records.runs) else "; ".join(runs): _made_with(
            json.loads(held)
        )
        for held, runs in groups.items()
    }
    cells = pd.DataFrame(columns).fillna(NOTHING).rename_axis("made with").reset_index()
    return Section("provenance", "Versions and commit", cells)


def _made_with(held: Mapping[str, Any]) -> dict[str, str]:
    modified = held.get("modified")
    told = "unknown" if modified is None else ", ".join(modified) or "none"
    return {
        "commit": str(held.get("commit") or "unknown"),
        "files that differ from it": told,
        "machine": str(held.get("machine", NOTHING)),
        "ranks": str(held.get("ranks", NOTHING)),
    } | {str(name): str(version) for name, version in (held.get("versions") or {}).items()}


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"
