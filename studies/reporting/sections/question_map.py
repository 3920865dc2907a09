"""Which training questions are solved, and when: accuracy by question and epoch, and where arms differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from studies.reporting.cells import percent, signed
from studies.reporting.figures import specification
from studies.reporting.parts import NOTHING, Chart, Context, Part, Section
from studies.reporting.question_epochs import Answered, matrix, question_epochs
from studies.reporting.records import Records
from studies.reporting.solved import state_of

SHARE = 5
"""The first and the last epochs of the table are a fifth of all that two arms have in common."""
WIDTH, ROW_HEIGHT, LEAST_HEIGHT = 560, 5, 40
# Blue is the arm and orange its baseline: told apart with the common colour blindnesses, as lines are.
DIVERGING, SEQUENTIAL = ("#D55E00", "#f7f7f7", "#0072B2"), ("#3b0f52", "#21918c", "#fde725")


def part(context: Context) -> Part:
    """Return the table and a map for each arm and each difference to a baseline."""
    records = context.records
    found = question_epochs(records)
    maps = {arm: matrix(found.table, arm) for arm in _trained(records)}
    drawn = {arm: table for arm, table in maps.items() if len(table)}
    cells = pd.DataFrame([row for arm in maps for row in _rows(records, arm, maps)]).fillna(NOTHING)
    if cells.empty:
        return Part()
    section = Section(
        "question_map",
        "Training questions by level",
        cells,
        list(_notes(records, found, drawn)),
        data=found.table,
    )
    charts = [
        _chart(f"questions_{_file(arm)}", arm, table, SEQUENTIAL, (0, 1)) for arm, table in drawn.items()
    ]
    for arm, baseline in records.study.baselines.items():
        if arm in drawn and baseline in drawn:
            table = _difference(drawn[arm], drawn[baseline])
            name, heading = f"questions_{_file(arm)}_minus_{_file(baseline)}", f"{arm} − {baseline}"
            charts.append(_chart(name, heading, table, DIVERGING, (-1, 1)))
    return Part([section], charts)


def _trained(records: Records) -> list[str]:
    """Return the arms that train; one that never samples has no accuracies, which its row says."""
    return [arm for arm in records.study.arms if records.study.runs[arm]["algorithm"] is not None]


def _file(arm: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in arm)


def _difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Return ours − theirs over the questions and epochs that both have."""
    first, second = ours.align(theirs, join="inner")
    return first - second


def _rows(records: Records, arm: str, maps: Mapping[str, pd.DataFrame]) -> Iterator[dict[str, str]]:
    table = maps[arm]
    if table.empty:
        yield {"arm": arm, "status": state_of(records, arm) or "no question was asked"}
        return
    baseline = records.study.baselines.get(arm)
    other = maps.get(baseline, pd.DataFrame()) if baseline else pd.DataFrame()
    difference = _difference(table, other) if len(other) else pd.DataFrame()
    for level in _levels(table):
        own = _at(table, level)
        first, last = _ends(own)
        row = {
            "arm": arm,
            "level": level,
            "questions": str(len(own)),
            "epochs": str(own.shape[1]),
            "first": percent(first),
            "last": percent(last),
            "never solved": str(int((own.max(axis=1) == 0).sum())),
        }
        if len(difference) and level in _levels(difference):
            ends = _ends(_at(difference, level))
            row |= {
                "baseline": str(baseline),
                "first, difference": signed(ends[0]),
                "last, difference": signed(ends[1]),
            }
        yield row


def _ends(table: pd.DataFrame) -> tuple[float, float]:
    """Return the mean over the questions in the first and in the last fifth of the epochs."""
    count = max(1, table.shape[1] // SHARE)
    first, last = (np.nanmean(part.to_numpy()) for part in (table.iloc[:, :count], table.iloc[:, -count:]))
    return float(first), float(last)


def _levels(table: pd.DataFrame) -> list[str]:
    """Return the levels in order, 9 before 10."""
    return sorted(set(table.index.get_level_values("level")), key=lambda level: (len(level), level))


def _at(table: pd.DataFrame, level: str) -> pd.DataFrame:
    return table[table.index.get_level_values("level") == level].droplevel("level")


def _notes(records: Records, found: Answered, drawn: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    yield (
        "Accuracy: the share of a question's rollouts in a step that are correct, in percent; epoch e is the "
        "e-th time that rollouts answered it, so that a curriculum's epochs begin with its first step that "
        "samples."
    )
    yield (
        "First and last: means over the first and the last fifth of the epochs. Differences: in points, over "
        "what questions and epochs arm and baseline both have. Never solved: questions of which no rollout "
        "was correct in any epoch."
    )
    seeds = found.table.groupby("arm")["seed"].nunique()
    for arm in drawn:
        questions, epochs = drawn[arm].shape
        rollouts = records.study.runs[arm]["train"]["rollout"]["samples"]
        yield f"{arm}: {questions} questions, {epochs} epochs, {rollouts} rollouts, seeds: {seeds[arm]}."
    if len(found.table) and (found.table["level"] == "untold").all():
        yield "The training set tells no levels."
    if found.unread:
        yield f"No question's accuracy is recorded of {'; '.join(found.unread)}."


def _chart(
    name: str, heading: str, table: pd.DataFrame, colors: Sequence[str], domain: tuple[float, float]
) -> Chart:
    """Return a map: a panel for each level, a row for each question, the hardest on top."""
    panels, datasets = [], {}
    levels = _levels(table)
    scale = alt.Scale(domain=[domain[0], sum(domain) / 2, domain[1]], range=list(colors))
    for index, level in enumerate(levels):
        own = _at(table, level)
        ranked = own.loc[own.mean(axis="columns").sort_values(kind="stable").index]
        datasets[f"level_{index}"] = list(_squares(ranked))
        panels.append(
            alt.Chart(alt.NamedData(f"level_{index}"))
            .mark_rect()
            .encode(
                x=alt.X("epoch:O", axis=_epochs(table) if index == len(levels) - 1 else None),
                y=alt.Y(
                    "rank:O", title=f"level {level}", axis=alt.Axis(labels=False, ticks=False, domain=False)
                ),
                color=alt.Color("accuracy:Q", scale=scale, legend=alt.Legend(title=None, orient="right")),
                tooltip=["question:N", "epoch:O", "accuracy:Q"],
            )
            .properties(width=WIDTH, height=max(LEAST_HEIGHT, ROW_HEIGHT * len(own)))
        )
    chart = alt.vconcat(*panels, spacing=8).resolve_scale(color="shared", x="shared")
    told = ["A row is a question, those with the lowest mean on top; a column is an epoch; blank: not asked."]
    return Chart(name, f"Share of rollouts solved, {heading}", specification(chart, datasets), told)


def _epochs(table: pd.DataFrame) -> alt.Axis:
    """Return an axis that labels about ten of the epochs."""
    every = max(1, round(table.shape[1] / 10))
    return alt.Axis(title="epoch", values=list(range(0, table.shape[1], every)), labelAngle=0)


def _squares(ranked: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for rank, (question, row) in enumerate(ranked.iterrows()):
        for epoch, value in row.dropna().items():
            yield {"rank": rank, "question": question, "epoch": epoch, "accuracy": round(float(value), 4)}
