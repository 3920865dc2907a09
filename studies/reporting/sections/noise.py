"""How much runs of the same arm differ: the noise floor that other studies' differences stand on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from studies.reporting.cells import entries_of, heading, percent
from studies.reporting.dots import Dot, dots
from studies.reporting.floors import FLOOR_FILE, floor_text
from studies.reporting.parts import NOTHING, Chart, Context, Part, Section
from studies.reporting.run_noise import SEEDS, noise

_NOTES = (
    "sd: standard deviation between runs that differ in nothing but their seed, on the same questions, in "
    "percent points; in brackets its 95 % interval by χ², for normally distributed scores.",
    "From answers: the part of sd that sampling other answers from the same policies would make, from the "
    "variance of the answers to each question. From training: the rest, √(sd² − answers²); 0.0 where the "
    "answers alone make as much.",
    "Detectable: the smallest difference between two arms of so many seeds each that a two-sided t-test at "
    "5 % sees with a chance of 80 %, if both vary like this. Arms that share their seeds may vary less.",
)


def part(context: Context) -> Part:
    """Return the spread between runs of each arm, and the floor that other studies are measured by."""
    table = noise(context.records, context.distributions)
    if table.empty or "sd" not in table:
        why = "No arm has two finished runs: nothing is known of the noise between runs."
        return Part([Section("noise", "Noise between runs", pd.DataFrame({"arm": []}), [why])])
    cells = pd.DataFrame([_row(entry) for entry in entries_of(table)])
    section = Section("noise", "Noise between runs of the same arm", cells, _notes(table), data=table)
    return Part([section], [_chart(table)], {FLOOR_FILE: floor_text(context.records, table)})


def _row(entry: Mapping[str, Any]) -> dict[str, str]:
    if pd.isna(entry["sd"]):
        spread = NOTHING
    else:
        spread = f"{percent(entry['sd'])} ({percent(entry['sd_low'])} to {percent(entry['sd_high'])})"
    detectable = {
        f"detectable, {seeds} seeds": percent(entry[f"detectable_{seeds}"], NOTHING) for seeds in SEEDS
    }
    return {
        "arm": entry["arm"],
        "suite": heading(entry["suite"]),
        "runs": str(entry["runs"]),
        "mean": percent(entry["mean"]),
        "sd": spread,
        "from answers": percent(entry["sampling"], NOTHING),
        "from training": percent(entry["training"], NOTHING),
        **detectable,
    }


def _notes(table: pd.DataFrame) -> list[str]:
    notes = list(_NOTES)
    if (table["sampling"].isna() & table["sd"].notna()).any():
        notes.append("From answers –: one answer a question does not tell how others would have scored.")
    alone = list(dict.fromkeys(table.loc[table["sd"].isna(), "arm"]))
    if alone:
        notes.append(f"sd –: fewer than two finished runs: {', '.join(alone)}.")
    return notes


def _chart(table: pd.DataFrame) -> Chart:
    drawn = [
        Dot(
            heading(entry["suite"]),
            100 * entry["sd"],
            100 * entry["sd_low"],
            100 * entry["sd_high"],
            color=entry["arm"],
        )
        for entry in entries_of(table[table["sd"].notna()])
    ]
    spec = dots(drawn, "standard deviation between runs (points)")
    return Chart("noise", "Noise between runs", spec, ["Dot: sd between runs. Line: its 95 % interval."])
