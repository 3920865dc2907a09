"""pass@k of each arm and suite: the chance that k answers to a question hold a correct one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from evaluation.statistics.intervals import score_interval
from evaluation.statistics.pass_at_k import count_solved, pass_at_k
from evaluation.statistics.scores import Array, answered, mean_score
from studies.reporting.cells import percent
from studies.reporting.figures import looks, specification
from studies.reporting.parts import NOTHING, Chart, Context, Part, Section
from studies.reporting.records import Records
from studies.reporting.solved import state_of

LARGEST = 1024
LEVEL = 0.95
WIDTH, HEIGHT, COLUMNS = 300, 220, 2


def part(context: Context) -> Part:
    """Return the table and the chart; neither has what no run was sampled for."""
    records = context.records
    rows = [
        row
        for arm in records.study.arms
        for suite in records.study.suites
        for row in _curve(records, arm, suite)
    ]
    names = ["arm", "suite", "k", "score", "se", "low", "high", "questions", "samples", "seeds"]
    data = pd.DataFrame(rows, columns=names)
    table = Section("pass_at_k", "pass@k", _cells(records, data), list(_notes(data)), data=data)
    return Part([table], [_chart(records, data)] if len(data) else [])


def powers(most: int) -> list[int]:
    """Return 1, 2, 4 … up to a number of samples, at most 1024."""
    return [2**exponent for exponent in range(LARGEST.bit_length()) if 2**exponent <= most]


def _curve(records: Records, arm: str, suite: str) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each k: score, error and interval as shares, and what they are over."""
    samples = records.samples
    if samples.empty:
        return
    taken = samples[(samples["arm"] == arm) & (samples["suite"] == suite)]
    if taken.empty:
        return
    graded, correct = _counts(taken)
    asked = int(graded.max())
    for k in powers(asked):
        scores = _scores(graded, correct, k)
        kept = answered(scores).shape[1]
        if not kept:
            return
        score, interval = mean_score([scores]), score_interval([scores], LEVEL)
        bounds = (interval.low, interval.high)
        yield arm, suite, k, score.mean, score.standard_error, *bounds, kept, asked, len(graded)


def _counts(taken: pd.DataFrame) -> tuple[Array, Array]:
    """Return how many answers have a verdict and how many of them are correct, by seed and question."""
    grouped = taken.groupby(["seed", "question"], observed=True)["earned"]
    count_solved(taken["earned"].to_numpy())  # what is neither 0 nor 1 can't be counted
    tables = grouped.count().unstack("question"), grouped.sum().unstack("question")
    graded, correct = (table.fillna(0).to_numpy(dtype=np.float64) for table in tables)
    return graded, correct


def _scores(graded: Array, correct: Array, k: int) -> Array:
    """Return pass@k by seed and question; NaN where fewer than k answers have a verdict."""
    enough = graded >= k
    scores = np.full(graded.shape, np.nan)
    scores[enough] = pass_at_k(graded[enough], correct[enough], k)
    return scores


def _cells(records: Records, data: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each suite and arm, a column for each k."""
    rows = []
    for suite in records.study.suites:
        for arm in records.study.arms:
            if suite not in records.study.runs[arm]["evaluation"]["suites"]:
                continue
            own = data[(data["suite"] == suite) & (data["arm"] == arm)]
            found = {str(k): _cell(s, e) for k, s, e in zip(own["k"], own["score"], own["se"], strict=True)}
            state = {} if len(own) else {"status": state_of(records, arm) or "no verdict"}
            rows.append({"arm": arm, "suite": suite} | found | state)
    return pd.DataFrame(rows).fillna(NOTHING)


def _cell(score: float, error: float) -> str:
    return f"{percent(score)} ± {percent(error)}"


def _notes(data: pd.DataFrame) -> Iterator[str]:
    yield (
        "Percent ± one standard error: pass@k = 1 − C(n − c, k) / C(n, k) with c of a question's n answers "
        "correct, unbiased for every k ≤ n; the mean over questions and seeds."
    )
    if data.empty:
        return
    largest = data.groupby(["suite", "samples", "seeds"], sort=False)["questions"].max()
    for (suite, samples, seeds), questions in zip(largest.index.tolist(), largest, strict=True):
        yield f"{suite}: {questions} questions × {samples} answers × {seeds} seed{'s' if seeds > 1 else ''}."
    yield f"Errors and bands are for other {_varied(data)}, not for more answers to the same questions."
    short = data.groupby(["arm", "suite"])["questions"].agg(["min", "max"])
    if (short["min"] < short["max"]).any():
        yield "Questions on which fewer than k answers have a verdict are left out of pass@k."


def _varied(data: pd.DataFrame) -> str:
    """Return what errors and bands are for."""
    return "questions alone" if (data["seeds"] == 1).all() else "questions and training seeds"


def _chart(records: Records, data: pd.DataFrame) -> Chart:
    """Return a panel for each suite: pass@k over k on a scale of powers of two, with 95 % bands."""
    shown = looks(records.study.arms)
    arms = [arm for arm in records.study.arms if arm in set(data["arm"])]
    drawn = data.assign(**{name: (100 * data[name]).round(3) for name in ("score", "low", "high")})
    ticks = alt.Axis(values=sorted(set(data["k"])), format="d", labelOverlap=False, labelFlush=False)
    legend = alt.Legend(orient="top", title=None, symbolOpacity=1)
    base = alt.Chart(alt.NamedData("curves")).encode(
        x=alt.X("k:Q", title="k answers", scale=alt.Scale(type="log", base=2), axis=ticks),
        color=alt.Color(
            "arm:N",
            scale=alt.Scale(domain=arms, range=[shown[arm].color for arm in arms]),
            legend=legend,
        ),
    )
    dashes = alt.Scale(domain=arms, range=[list(shown[arm].dash) for arm in arms])
    band = base.mark_area(opacity=0.07).encode(y=alt.Y("low:Q", title="pass@k (%)"), y2="high:Q")
    line = base.mark_line(strokeWidth=1.9, point=True).encode(
        y=alt.Y("score:Q", title="pass@k (%)"),
        strokeDash=alt.StrokeDash("arm:N", scale=dashes, legend=legend),
        tooltip=["arm:N", "k:Q", "score:Q", "low:Q", "high:Q"],
    )
    panels = _present(records.study.suites, data)
    chart = alt.layer(band, line).properties(width=WIDTH, height=HEIGHT)
    faceted = chart.facet(facet=alt.Facet("suite:N", sort=panels, title=None), columns=COLUMNS)
    values = drawn.astype(object).where(drawn.notna(), None).to_dict("records")
    spec = specification(
        faceted, {"curves": [{str(key): value for key, value in row.items()} for row in values]}
    )
    told = [f"Line: mean over questions and seeds. Band: 95 % interval, for other {_varied(data)}."]
    return Chart("pass_at_k", "pass@k", spec, told)


def _present(suites: Sequence[str], data: pd.DataFrame) -> list[str]:
    there = set(data["suite"])
    return [suite for suite in suites if suite in there]
