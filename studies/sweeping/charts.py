"""Figures of a sweep: how scores rose, how they depend on each axis and on two at once, which axes matter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from scipy.interpolate import griddata
from scipy.spatial import QhullError

from studies.reporting.figures import COLORS, INK, specification
from studies.reporting.parts import Chart
from studies.sweeping.axes import Axis
from studies.sweeping.trials import Trial

CELLS = 24
"""Of a contour's map, in each direction."""
FEWEST = 4
"""Trials that a map is drawn from: three span a triangle alone."""
_STATES = alt.Color(
    "state:N",
    scale=alt.Scale(domain=["complete", "pruned"], range=[COLORS[0], COLORS[1]]),
    legend=alt.Legend(orient="top", title=None),
)
_SCORE = alt.Y("score:Q", title="validation score (%)", scale=alt.Scale(zero=False))


def charts(trials: Sequence[Trial], axes: Sequence[Axis], found: Mapping[str, float]) -> list[Chart]:
    """Return the figures.

    Args:
        trials: Those that have a score.
        axes: What was varied.
        found: Importance of each axis, the largest first; may be empty.
    """
    if not trials:
        return []
    pair = [axis for axis in sorted(axes, key=lambda axis: -found.get(axis.key, 0.0)) if axis.numeric][:2]
    contour = _contour(trials, *pair) if len(pair) == 2 else None
    drawn = [_history(trials), _slice(trials, axes), contour, _bars(found) if found else None]
    return [chart for chart in drawn if chart is not None]


def _rows(trials: Sequence[Trial]) -> Iterator[dict[str, Any]]:
    best = float("-inf")
    for trial in trials:
        score = _percent(trial)
        best = max(best, score) if trial.state == "complete" else best
        highest = {} if best == float("-inf") else {"best": best}
        yield {"trial": trial.number, "score": score, "state": trial.state, **highest, **trial.values}


def _percent(trial: Trial) -> float:
    return round(100 * (trial.score or 0.0), 3)


def _short(number: float) -> float:
    return float(f"{number:.5g}")


def _field(key: str) -> str:
    """Return a key as Vega-Lite takes it: dots and brackets would lead into what a field holds."""
    return key.replace(".", "\\.").replace("[", "\\[").replace("]", "\\]")


def _history(trials: Sequence[Trial]) -> Chart:
    base = alt.Chart().encode(x=alt.X("trial:Q", title="trial", axis=alt.Axis(tickMinStep=1)))
    line = base.mark_line(interpolate="step-after", color=INK).encode(y=alt.Y("best:Q", title=None))
    points = base.mark_point(filled=True, size=45).encode(
        y=_SCORE, color=_STATES, tooltip=["trial:Q", "score:Q"]
    )
    chart = alt.layer(line, points, data=alt.NamedData("trials")).properties(width=640, height=260)
    notes = ["Line: the highest score of a complete trial so far. Pruned trials stand at their last score."]
    return Chart("history", "Scores by trial", specification(chart, {"trials": list(_rows(trials))}), notes)


def _x(axis: Axis) -> alt.X:
    if not axis.numeric:
        return alt.X(field=_field(axis.key), type="nominal", title=axis.key)
    scale = alt.Scale(type="log" if axis.logarithmic else "linear", domain=axis.extremes(), nice=False)
    return alt.X(field=_field(axis.key), type="quantitative", title=axis.key, scale=scale)


def _slice(trials: Sequence[Trial], axes: Sequence[Axis]) -> Chart:
    panels = [
        alt.Chart()
        .mark_point(filled=True, size=40)
        .encode(x=_x(axis), y=_SCORE, color=_STATES, tooltip=["trial:Q", "score:Q"])
        .properties(width=220, height=200)
        for axis in axes
        if any(axis.key in trial.values for trial in trials)
    ]
    chart = alt.concat(*panels, columns=3, data=alt.NamedData("trials"))
    notes = ["One point a trial, in every panel; an axis that was not varied for it has none."]
    return Chart("slice", "Scores by axis", specification(chart, {"trials": list(_rows(trials))}), notes)


def _contour(trials: Sequence[Trial], across: Axis, up: Axis) -> Chart | None:
    """Return a map of scores over two axes, linear between trials; None where they span no area."""
    used = [
        trial for trial in trials if trial.state == "complete" and {across.key, up.key} <= set(trial.values)
    ]
    if len(used) < FEWEST:
        return None
    places = np.array([[_place(axis, trial) for axis in (across, up)] for trial in used])
    scores = np.array([_percent(trial) for trial in used])
    edges = [np.linspace(places[:, i].min(), places[:, i].max(), CELLS + 1) for i in (0, 1)]
    middles = [(edge[:-1] + edge[1:]) / 2 for edge in edges]
    try:
        # Scaled to one size: nearness in the axes' own units would mean nothing.
        heights = griddata(places, scores, tuple(np.meshgrid(*middles, indexing="ij")), rescale=True)
    except QhullError:
        return None
    cells = [
        {
            "left": _unplace(across, edges[0][i]),
            "right": _unplace(across, edges[0][i + 1]),
            "bottom": _unplace(up, edges[1][j]),
            "top": _unplace(up, edges[1][j + 1]),
            "score": _short(float(heights[i, j])),
        }
        for i, j in itertools.product(range(CELLS), repeat=2)
        if np.isfinite(heights[i, j])
    ]
    points = [
        {"x": trial.values[across.key], "y": trial.values[up.key], "trial": trial.number} for trial in used
    ]
    chart = alt.layer(_map(across, up), _marks(across, up)).properties(width=440, height=360)
    notes = ["Linear between complete trials (dots), and nothing outside of them."]
    spec = specification(chart, {"cells": cells, "points": points})
    return Chart("contour", f"Scores over {across.key} and {up.key}", spec, notes)


def _scale(axis: Axis) -> alt.Scale:
    return alt.Scale(type="log", nice=False) if axis.logarithmic else alt.Scale(zero=False, nice=False)


def _map(across: Axis, up: Axis) -> Any:  # noqa: ANN401  as Altair has it
    color = alt.Color(
        "score:Q", title="score (%)", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(orient="right")
    )
    return (
        alt.Chart(alt.NamedData("cells"))
        .mark_rect()
        .encode(
            x=alt.X("left:Q", title=across.key, scale=_scale(across)),
            x2="right:Q",
            y=alt.Y("bottom:Q", title=up.key, scale=_scale(up)),
            y2="top:Q",
            color=color,
            tooltip=["score:Q"],
        )
    )


def _marks(across: Axis, up: Axis) -> Any:  # noqa: ANN401
    return (
        alt.Chart(alt.NamedData("points"))
        .mark_point(filled=True, size=28, color="black", stroke="white", strokeWidth=1)
        .encode(x=alt.X("x:Q", scale=_scale(across)), y=alt.Y("y:Q", scale=_scale(up)), tooltip=["trial:Q"])
    )


def _place(axis: Axis, trial: Trial) -> float:
    value = float(trial.values[axis.key])
    return float(np.log(value)) if axis.logarithmic else value


def _unplace(axis: Axis, place: float) -> float:
    return _short(np.exp(place) if axis.logarithmic else place)


def _bars(found: Mapping[str, float]) -> Chart:
    rows = [{"axis": key, "importance": _short(share)} for key, share in found.items()]
    chart = (
        alt.Chart(alt.NamedData("importances"))
        .mark_bar(color=COLORS[0])
        .encode(
            x=alt.X("importance:Q", title="importance"),
            y=alt.Y("axis:N", sort=list(found), title=None, axis=alt.Axis(labelLimit=320)),
            tooltip=["axis:N", "importance:Q"],
        )
        .properties(width=480)
    )
    notes = ["Optuna's PED-ANOVA: shares of how much the best tenth's values differ from all."]
    return Chart(
        "importances_chart", "Importance of the axes", specification(chart, {"importances": rows}), notes
    )
