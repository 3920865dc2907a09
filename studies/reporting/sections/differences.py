"""Each arm's paired difference to its baseline, suite by suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from studies.reporting.cells import entries_of, heading, p_value, percent, signed
from studies.reporting.floors import floors_part
from studies.reporting.notes import difference_notes, refusal_notes
from studies.reporting.parts import NOTHING, Context, Part, Section
from studies.reporting.sections.scores import score_cell
from studies.reporting.spending import refusals
from studies.reporting.study_record import StudyRecord


def part(context: Context) -> Part:
    """Return the table of differences; nothing where no arm has a baseline."""
    study, summary = context.records.study, context.summary
    compared = summary[summary["arm"].isin(study.baselines)]
    if compared.empty:
        return Part()
    baselines = list(dict.fromkeys(study.baselines.values()))
    title = "Differences to baselines" if len(baselines) > 1 else f"Difference to {baselines[0]}"
    refused = refusals(context.records)
    rows = [_row(part, study, refused) for _, part in compared.groupby("arm", sort=False)]
    in_floors = floors_part(context)
    notes = [*difference_notes(compared), *refusal_notes(refused), *in_floors.notes]
    return Part([Section("differences", title, pd.DataFrame(rows), notes), *in_floors.sections])


def _row(part: pd.DataFrame, study: StudyRecord, refused: Mapping[str, str]) -> dict[str, str]:
    entries = entries_of(part)
    arm = entries[0]["arm"]
    against = study.baselines[arm]
    shown = {"baseline": against} if len(set(study.baselines.values())) > 1 else {}
    told = "refused" if arm in refused else "baseline refused" if against in refused else None
    return {"arm": arm} | shown | {heading(entry["suite"]): told or _cell(entry) for entry in entries}


def _cell(entry: Mapping[str, Any]) -> str:
    difference = entry["difference"]
    if pd.isna(difference):
        return score_cell(entry) if not entry["seeds"] else NOTHING
    return f"{signed(difference)} ± {percent(entry['difference_se'])} (p {p_value(entry['p_holm'])})"
