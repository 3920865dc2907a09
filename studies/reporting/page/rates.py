"""Question by question, how often it was solved as training went on: the data of the page's heat map."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import altair as alt
import msgspec
import pandas as pd

from studies.directories import run_directory
from studies.reporting.figures import specification
from studies.reporting.records import Records
from training.run_dir import METRICS

# Most questions of a suite, or of a run's training: more cannot be told apart on a page.
QUESTIONS = 500
BINS = 24
TRAINING = "questions of training"


class _Step(msgspec.Struct):
    """What is read of a step's metrics; the rest is skipped unread."""

    step: int
    rates: list[tuple[int, float]] | None = msgspec.field(name="rollout/solve_rates", default=None)


_STEPS = msgspec.json.Decoder(_Step)


def rates_data(records: Records) -> dict[str, Any]:
    """Return rates in percent: of validations where there are some, else of the rollouts of training.

    A run holds for each suite rows of the question's place in the suite's list and a rate for each column.
    """
    validated = not records.validations.empty
    frame = records.validations if validated else _training(records)
    if frame.empty:
        return {"runs": [], "note": "No finished run has validations or solve rates of single questions."}
    kept = pd.concat([_most_asked(part) for _, part in frame.groupby("suite", sort=False)])
    columns = sorted({int(step) for step in kept["step"]})
    labels = [f"{step:,}" for step in columns] if validated else _labels(columns, _width(records))
    questions = {
        str(suite): list(dict.fromkeys(part["question"])) for suite, part in kept.groupby("suite", sort=False)
    }
    runs = [
        {"arm": str(key[0]), "seed": int(str(key[1])), "rates": _of_run(part, questions, columns)}
        for key, part in kept.groupby(["arm", "seed"], sort=False)
    ]
    return {
        "runs": runs,
        "questions": questions,
        "columns": labels,
        "axis": "step of the validation" if validated else "steps of training",
        "measure": "mean of its samples (%)" if validated else "rollouts solved (%)",
        "note": _note(frame, kept, validated),
    }


def heat_map() -> dict[str, Any]:
    """Return the specification of the heat map; the page puts in the cells of the run that is chosen."""
    value = alt.Color(
        "rate:Q",
        title="%",
        scale=alt.Scale(domain=[0, 100], scheme="cividis"),
        legend=alt.Legend(gradientThickness=10, gradientLength=120),
    )
    chart = (
        alt.Chart(alt.NamedData("cells"))
        .mark_rect(aria=False)
        .encode(
            x=alt.X("column:O", sort=None, title="step", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("row:O", sort=None, title="question", axis=alt.Axis(labels=False, ticks=False)),
            color=value,
            tooltip=[
                alt.Tooltip("question:N"),
                alt.Tooltip("column:N", title="step"),
                alt.Tooltip("rate:Q", title="solved (%)", format=".4~g"),
            ],
        )
    )
    return specification(chart, {"cells": []})


def _training(records: Records) -> pd.DataFrame:
    """Return the solve rates of training's questions, by the last step of the bin that they were asked in."""
    finished = records.runs[records.runs["state"] == "finished"]
    width, frames = _width(records), []
    for arm, seed in zip(finished["arm"], finished["seed"], strict=True):
        rows = list(_asked(run_directory(records.directory, arm, seed) / METRICS, width))
        rates = pd.DataFrame(rows, columns=["step", "question", "score"])
        grouped = rates.groupby(["step", "question"], sort=False)["score"]
        told = grouped.agg(samples="count", score="mean").reset_index()
        frames.append(told.assign(arm=arm, seed=seed, suite=TRAINING))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _asked(path: Path, width: int) -> Iterable[tuple[int, str, float]]:
    if not path.is_file():
        return
    for step in _STEPS.decode_lines(path.read_bytes()):
        for question, rate in step.rates or ():
            yield math.ceil(step.step / width) * width, str(question), rate


def _width(records: Records) -> int:
    return max(1, math.ceil(max(int(steps) for steps in records.runs["steps"]) / BINS))


def _labels(ends: list[int], width: int) -> list[str]:
    return [f"{end - width + 1:,}–{end:,}" if width > 1 else f"{end:,}" for end in ends]


def _most_asked(part: pd.DataFrame) -> pd.DataFrame:
    asked = part.groupby("question", sort=False)["samples"].sum().sort_values(ascending=False, kind="stable")
    return part[part["question"].isin(asked.index[:QUESTIONS])]


def _of_run(
    part: pd.DataFrame, questions: dict[str, list[str]], columns: list[int]
) -> dict[str, list[list[float | None]]]:
    rates: dict[str, list[list[float | None]]] = {}
    for suite, own in part.groupby("suite", sort=False):
        wide = own.pivot(index="question", columns="step", values="score").reindex(columns=columns)
        places = {question: place for place, question in enumerate(questions[str(suite)])}
        wide = wide.set_axis([places[question] for question in wide.index]).sort_index()
        found = zip(wide.index.tolist(), wide.to_numpy().tolist(), strict=True)
        rates[str(suite)] = [[place, *map(_percent, values)] for place, values in found]
    return rates


def _percent(share: float) -> float | None:
    if math.isnan(share):
        return None
    told = round(100 * share, 1)
    return int(told) if told == int(told) else told


def _note(frame: pd.DataFrame, kept: pd.DataFrame, validated: bool) -> str:
    there, shown = (part.groupby("suite", sort=False)["question"].nunique() for part in (frame, kept))
    source = "Validations" if validated else "Rollouts of training; there were no validations"
    cut = [
        f"{shown[suite]:,} of {there[suite]:,} ({suite})"
        for suite in there.index
        if shown[suite] < there[suite]
    ]
    told = f" Shown are the questions that were asked most often: {', '.join(cut)}." if cut else ""
    return f"{source}. A row is a question, a column a step; empty where it was not asked.{told}"
