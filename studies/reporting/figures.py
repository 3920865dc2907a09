"""The look that charts share, and their files: Vega-Lite specifications made with Altair, written as PNG."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import vl_convert

from studies.reporting.parts import Chart

# A page's text colour: black on white, white in the dark; black in a file.
INK = "currentColor"
# Okabe and Ito, 2008: told apart with the common colour blindnesses. Yellow is too faint for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", INK)
DASHES = ((1, 0), (6, 3), (2, 2), (7, 2, 2, 2))
CAPTION_WIDTH = 120
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
THEME: dict[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "domainColor": INK,
        "domainOpacity": 0.5,
        "tickColor": INK,
        "tickOpacity": 0.5,
        "gridColor": "#888888",
        "gridOpacity": 0.22,
        "labelFontSize": 11,
        "titleFontSize": 11,
    },
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "labelLimit": 320, "columns": 4},
    "title": {
        "color": INK,
        "subtitleColor": INK,
        "fontSize": 13,
        "subtitleFontSize": 11,
        "subtitlePadding": 4,
        "anchor": "start",
        "offset": 8,
    },
    "axisY": {"minExtent": 34},
    "header": {"labelColor": INK, "titleColor": INK},
    "view": {"stroke": None},
}


class Look(NamedTuple):
    """How an arm is drawn, in every chart of its study."""

    color: str
    dash: tuple[int, ...]


class _Written(Protocol):
    def to_dict(self, validate: bool) -> dict[str, Any]: ...


def looks(arms: Sequence[str]) -> dict[str, Look]:
    """Return how each arm is drawn: colours in turn, then the same ones dashed otherwise.

    Args:
        arms: All that could be drawn, in the study's order, so that each keeps its look whichever are.
    """
    return {
        arm: Look(COLORS[index % len(COLORS)], DASHES[index // len(COLORS) % len(DASHES)])
        for index, arm in enumerate(arms)
    }


def specification(chart: _Written, datasets: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return an Altair chart as a specification in the look that all share.

    Args:
        chart: Its data by name (`alt.NamedData`): Altair copies and checks what it is given many times over.
        datasets: The rows of each.
    """
    return chart.to_dict(validate=False) | {"config": THEME, "datasets": dict(datasets)}


def wrapped(text: str, width: int) -> list[str]:
    """Return the text in lines of at most so many characters."""
    return textwrap.wrap(" ".join(text.split()), width) or [""]


def write_charts(charts: Sequence[Chart], folder: Path, title: str) -> list[Path]:
    """Write each chart into a folder as NAME.png and return the paths; equal charts give equal bytes.

    Args:
        charts: Of a report.
        folder: For the files.
        title: Of the study; a picture must tell what it is of where it stands alone.
    """
    paths = []
    for chart in charts:
        paths.append(folder / f"{chart.name}.png")
        paths[-1].write_bytes(vl_convert.vegalite_to_png(_alone(chart, title), scale=2, allowed_base_urls=[]))
    return paths


def _alone(chart: Chart, title: str) -> dict[str, Any]:
    """Return the specification with what a page writes around it: heading and notes."""
    told = [line for note in chart.notes for line in wrapped(note, CAPTION_WIDTH)]
    heading = {"text": wrapped(f"{chart.heading}: {title}", 90), "subtitle": told, "fontSize": 15}
    return {**chart.spec, "title": heading, "background": "white", "padding": 14}
