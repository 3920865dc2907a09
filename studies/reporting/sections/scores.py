"""The main table: a row for each arm, a column for each suite and average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from evaluation.grading import OUTCOMES
from studies.reporting.best import best_cells, best_note
from studies.reporting.cells import entries_of, heading, percent, shortened
from studies.reporting.notes import score_notes
from studies.reporting.parts import NOTHING, Context, Part, Section

_EARNS_NOTHING = [outcome for outcome in OUTCOMES if outcome not in ("correct", "wrong")]


def part(context: Context) -> Part:
    """Return the table of all scores; its numbers are table.csv's."""
    records, summary = context.records, context.summary
    suites = records.study.suites
    cells = pd.DataFrame([_row(rows, suites) for _, rows in summary.groupby("arm", sort=False)])
    bold = best_cells(context)
    notes = [*score_notes(records, summary, context.distributions), best_note(context, bold)]
    return Part([Section("table", records.study.title, cells, notes, bold, summary)])


def _row(part: pd.DataFrame, suites: Sequence[str]) -> dict[str, str]:
    """Return an arm's row; `part` has its rows of the summary."""
    entries = entries_of(part)
    arm, own = entries[0], [entry for entry in entries if entry["suite"] in suites]
    questions = sum(entry["questions"] for entry in own if not pd.isna(entry["questions"]))
    untold = [
        sum(entry[outcome] for entry in own if not pd.isna(entry[outcome])) for outcome in _EARNS_NOTHING
    ]
    return (
        {"arm": arm["arm"]}
        | {heading(entry["suite"]): score_cell(entry) for entry in entries}
        | {
            "seeds": f"{arm['seeds']} of {arm['seeds_wanted']}",
            "n": _asked(own) or NOTHING,
            "offline rows": percent(arm["offline_rows"], NOTHING),
            "offline tokens": percent(arm["offline_tokens"], NOTHING),
            "steps": NOTHING if pd.isna(arm["steps"]) else f"{arm['steps']:,}",
            " / ".join(_EARNS_NOTHING): " / ".join(map(str, untold)) if questions else NOTHING,
            "status": shortened(arm["status"]),
        }
    )


def score_cell(entry: Mapping[str, Any]) -> str:
    """Return mean ± standard error in percent, or what became of the runs."""
    if not pd.isna(entry["mean"]):
        return f"{percent(entry['mean'])} ± {percent(entry['se'])}"
    return NOTHING if entry["seeds"] else str(entry["status"]).split()[0]


def _asked(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return questions × samples, suites with equal numbers of samples together."""
    questions: dict[int, int] = {}
    for entry in entries:
        if not pd.isna(entry["questions"]) and entry["questions"]:
            questions[entry["samples"]] = questions.get(entry["samples"], 0) + entry["questions"]
    return " + ".join(f"{count:,} × {samples}" for samples, count in questions.items())
