"""Dots with intervals: how estimates and what they leave open are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt

from studies.reporting.figures import COLORS, specification

_DATA = "dots"


class Dot(NamedTuple):
    """An estimate and its interval.

    Args:
        row: What it is an estimate of; equal ones stand in one row.
        value: The estimate.
        low: Lower end of the interval.
        high: Upper end.
        color: What stands beside others in a row, in its own colour.
        column: What has a panel of its own.
    """

    row: str
    value: float
    low: float
    high: float
    color: str = ""
    column: str = ""


def dots(drawn: Sequence[Dot], axis: str, *, zero: bool = False) -> dict[str, Any]:
    """Return a chart with a dot for each estimate and a line over its interval, in their order.

    Args:
        drawn: The estimates.
        axis: Title of the axis that they are on.
        zero: Whether to draw a line at 0.
    """
    rows, colors, columns = (list(dict.fromkeys(getattr(dot, of) for dot in drawn)) for of in _NAMES)
    scale = alt.Scale(domain=colors, range=[COLORS[index % len(COLORS)] for index in range(len(colors))])
    legend = alt.Legend(orient="top", title=None) if len(colors) > 1 else None
    base = alt.Chart().encode(
        y=alt.Y("row:N", sort=rows, title=None, axis=alt.Axis(labelLimit=320)),
        yOffset=alt.YOffset("color:N", sort=colors),
        color=alt.Color("color:N", scale=scale, legend=legend),
        tooltip=["row:N", "color:N", "column:N", "value:Q", "low:Q", "high:Q"],
    )
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=axis), x2="high:Q"),
        base.mark_point(filled=True, size=55, opacity=1).encode(x=alt.X("value:Q", title=axis)),
    ]
    if zero:
        layers.insert(0, alt.Chart().mark_rule(opacity=0.6, strokeDash=[3, 3]).encode(x=alt.datum(0)))
    chart = alt.layer(*layers, data=alt.NamedData(_DATA)).properties(width=560 if len(columns) < 2 else 280)
    values = {_DATA: [_values(dot) for dot in drawn]}
    if len(columns) < 2:
        return specification(chart, values)
    return specification(chart.facet(column=alt.Column("column:N", sort=columns, title=None)), values)


def rounded(value: float) -> float | None:
    """Return a number as it is written into a chart: five digits show all that can be seen."""
    return None if math.isnan(value) else float(f"{value:.5g}")


_NAMES = ("row", "color", "column")


def _values(dot: Dot) -> dict[str, Any]:
    return dot._asdict() | {name: rounded(getattr(dot, name)) for name in ("value", "low", "high")}
