"""How training went, step by step: one panel for each metric, and for each suite that was validated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from studies.reporting.cells import entries_of
from studies.reporting.curves import (
    Drawn,
    Traced,
    caption,
    drawn_panels,
    extents,
    rounded,
    smoothing_window,
    traced,
    trained_arms,
)
from studies.reporting.figures import INK, Look, looks, specification, wrapped
from studies.reporting.parts import NOTHING, Chart, Context, Part

WIDTH, HEIGHT = 400, 210
REMARK_WIDTH = 60
LETTER, SYMBOL = 6, 45
"""Pixels of the legend."""


def part(context: Context) -> Part:
    """Return the chart of training; nothing where no arm trains."""
    records = context.records
    if not trained_arms(records):
        return Part()
    shown = looks(trained_arms(records))
    arms = traced(records)
    panels = list(drawn_panels(records))
    steps = max(int(records.study.runs[arm]["train"]["steps"]) for arm in trained_arms(records))
    charts = [_panel(index, drawn, _identity(arms, shown), steps) for index, drawn in enumerate(panels)]
    chart = alt.concat(*charts, columns=2, spacing={"row": 26, "column": 34}).resolve_scale(
        color="shared", strokeDash="shared"
    )
    datasets = {
        name: rows
        for index, drawn in enumerate(panels)
        for name, rows in ((f"lines_{index}", _points(drawn)), (f"told_{index}", _told_steps(drawn)))
    }
    notes = [caption(records, smoothing_window(records.metrics))]
    return Part(charts=[Chart("dynamics", "Training dynamics", specification(chart, datasets), notes)])


def _panel(index: int, drawn: Drawn, identity: Mapping[str, Any], steps: int) -> alt.LayerChart:
    """Return bands, lines, and what the pointer brings up: every arm's numbers at the nearest step."""
    panel = drawn.panel
    (first, last), bounds = extents(drawn, steps)
    base = alt.Chart(alt.NamedData(f"lines_{index}")).encode(
        x=alt.X(
            "step:Q",
            title="step",
            scale=alt.Scale(domain=[first, last], nice=False),
            axis=alt.Axis(tickMinStep=1, format=",d"),
        ),
        color=identity["color"],
    )
    scale = alt.Scale(domain=bounds, zero=False, nice=True)
    mean = alt.Y("mean:Q", title=panel.unit, scale=scale)
    band = base.mark_area(opacity=0.16, strokeWidth=0).encode(
        y=alt.Y("low:Q", title=panel.unit, scale=scale), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=1.9, point=not panel.smooth, clip=False).encode(
        y=mean, strokeDash=identity["strokeDash"]
    )
    near = alt.selection_point(
        name=f"near_{index}", fields=["step"], nearest=True, on="pointerover", clear="pointerout", empty=False
    )
    marked = base.mark_point(filled=True, size=42, opacity=1).encode(y=mean).transform_filter(near)
    title = alt.TitleParams(panel.heading, subtitle=wrapped(drawn.remark, REMARK_WIDTH))
    layers = [band, line, marked, _rule(index, list(drawn.lines), near)]
    return alt.LayerChart(layer=layers, width=WIDTH, height=HEIGHT, title=title)


def _identity(arms: Sequence[Traced], shown: Mapping[str, Look]) -> dict[str, Any]:
    """Return the channels that tell arms apart; the legend says how many seeds each has."""
    names = [arm.name for arm in arms]
    seeds = {arm.name: arm.metrics["seed"].nunique() for arm in arms}
    labels = [f"{name} ({seeds[name]} seed{'s' * (seeds[name] > 1)})" for name in names]
    longest = max(map(len, labels), default=0)
    legend = alt.Legend(
        title=None,
        columns=max(1, min(4, 2 * WIDTH // (LETTER * longest + SYMBOL))),
        orient="top",
        symbolType="stroke",
        symbolSize=500,
        symbolOpacity=1,
        symbolStrokeWidth=2.4,
        labelExpr=f"{_literal(labels)}[indexof({_literal(names)}, datum.label)]",
    )
    if not names:
        return {"color": alt.value(INK), "strokeDash": alt.value([1, 0])}
    colors, dashes = [shown[name].color for name in names], [list(shown[name].dash) for name in names]
    return {
        "color": alt.Color("arm:N", scale=alt.Scale(domain=names, range=colors), legend=legend),
        "strokeDash": alt.StrokeDash("arm:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
    }


def _literal(texts: Sequence[str]) -> str:
    """Return texts as an array of an expression; whatever is no plain letter is written by its number."""
    written = ("".join(c if c.isascii() and c.isalnum() else f"\\u{ord(c):04x}" for c in t) for t in texts)
    return "[" + ", ".join(f"'{text}'" for text in written) + "]"


def _points(drawn: Drawn) -> list[dict[str, Any]]:
    return [
        {"arm": arm, "step": row["step"]} | {name: rounded(row[name]) for name in ("mean", "low", "high")}
        for arm, line in drawn.lines.items()
        for row in entries_of(line)
    ]


def _rule(index: int, arms: Sequence[str], near: alt.Parameter) -> alt.Chart:
    """Return the line at the nearest step, which tells what every arm has there."""
    tooltip = [alt.Tooltip("step:Q", title="step", format=",d")]
    # Titles become an expression's texts, which some of Unicode's line ends would cut off.
    names = [" ".join(arm.split()) for arm in arms]
    tooltip += [alt.Tooltip(f"a{place}:N", title=name) for place, name in enumerate(names)]
    opacity = alt.when(near).then(alt.value(0.6)).otherwise(alt.value(0))
    rule = alt.Chart(alt.NamedData(f"told_{index}")).mark_rule(color="#888888")
    encoded: alt.Chart = rule.encode(x="step:Q", opacity=opacity, tooltip=tooltip).add_params(near)
    return encoded


def _told_steps(drawn: Drawn) -> list[dict[str, Any]]:
    """Return a row for each step, with what every arm has there as text; its keys are no arms' names."""
    told = [{row["step"]: _told(row) for row in entries_of(line)} for line in drawn.lines.values()]
    steps = sorted({step for line in told for step in line})
    return [
        {"step": step} | {f"a{place}": line.get(step, NOTHING) for place, line in enumerate(told)}
        for step in steps
    ]


def _told(row: Mapping[str, Any]) -> str:
    """Return mean and range as a text."""
    if pd.isna(row["mean"]):
        return NOTHING
    numbers = {name: f"{row[name]:.4g}" for name in ("mean", "low", "high")}
    return numbers["mean"] + (f"  ({numbers['low']} to {numbers['high']})" if row["seeds"] > 1 else "")
