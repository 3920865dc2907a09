"""Draw differences with their intervals: a forest plot, a row for each suite and comparison."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from evaluation.comparing.cells import Cell
from evaluation.comparing.metrics import Metric
from evaluation.comparing.tables import bounds, signed

# Okabe and Ito, 2008: told apart with the common colour blindnesses. Yellow is too faint for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY, BAND = "#555555", "#eeeeee"
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    # A dollar sign in a name is no formula.
    "text.parse_math": False,
    "pdf.fonttype": 42,
}
WIDTH, ROW, FRAME, DPI = 8.4, 0.235, 1.55, 140
LONGEST_NAME, CAPTION = 34, 128
# Without names and dates a file does not change with the version of the library or the clock.
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


class Line(NamedTuple):
    """A row of the plot: a heading, or a cell at its height."""

    height: float
    label: str
    cell: Cell | None


def write_forest(cells: Sequence[Cell], metric: Metric, margin: float | None, directory: Path) -> list[Path]:
    """Write forest.png and forest.pdf into a folder; equal records give equal bytes.

    Args:
        cells: In the order of the table.
        metric: That differences are of.
        margin: Of equivalence, as a share; drawn as a band.
        directory: The folder.
    """
    lines = _lines(cells)
    height = FRAME + ROW * (lines[-1].height + 1)
    # A reader's own matplotlibrc must not change the picture.
    with style.context(STYLE, after_reset=True):
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        colors = _colors(cells)
        _draw_cells(axes, lines, colors)
        if margin is not None:
            axes.axvspan(-100 * margin, 100 * margin, color=BAND, lw=0, zorder=0)
        _dress(axes, lines, cells, metric)
        _add_legend(figure, colors)
        text = textwrap.fill(_caption(cells, margin), CAPTION)
        figure.supxlabel(text, x=0.01, ha="left", size=8, color=GREY, linespacing=1.4)
        paths = [directory / f"forest.{kind}" for kind in METADATA]
        for path, metadata in zip(paths, METADATA.values(), strict=True):
            figure.savefig(path, metadata=metadata)
    return paths


def _lines(cells: Sequence[Cell]) -> list[Line]:
    """Return the rows from the top: suites in order with a row for each comparison, then the averages."""
    several = len({cell.pair.title for cell in cells}) > 1
    suites = dict.fromkeys(cell.title for cell in cells if not cell.is_average)
    titles = [*suites, *dict.fromkeys(cell.title for cell in cells if cell.title not in suites)]
    lines: list[Line] = []
    height = 0.0
    for title in titles:
        own = [cell for cell in cells if cell.title == title]
        if several:
            height += 0.35 if lines else 0.0
            lines.append(Line(height, title, None))
            height += 1
        elif lines and own[0].is_average and not _cell(lines[-1]).is_average:
            height += 0.5
        for cell in own:
            lines.append(Line(height, _short(cell.pair.method.name) if several else title, cell))
            height += 1
    return lines


def _cell(line: Line) -> Cell:
    assert line.cell is not None
    return line.cell


def _colors(cells: Sequence[Cell]) -> dict[str, str]:
    """Return the colour of each comparison, by its title."""
    titles = dict.fromkeys(cell.pair.title for cell in cells)
    return {title: COLORS[number % len(COLORS)] for number, title in enumerate(titles)}


def _draw_cells(axes: Axes, lines: Sequence[Line], colors: dict[str, str]) -> None:
    for height, _, cell in lines:
        if cell is None:
            continue
        found, color = cell.comparison, colors[cell.pair.title]
        if not math.isnan(found.interval.low):
            ends = [100 * found.interval.low, 100 * found.interval.high]
            axes.plot(ends, [height, height], color=color, lw=1.8, solid_capstyle="butt", zorder=2)
        axes.plot(
            [100 * found.difference.mean],
            [height],
            marker="D" if cell.is_average else "o",
            ms=6,
            color=color,
            mfc=color if cell.verdict in ("higher", "lower") else "white",
            mew=1.5,
            zorder=3,
        )


def _dress(axes: Axes, lines: Sequence[Line], cells: Sequence[Cell], metric: Metric) -> None:
    """Add rows' names on the left, their numbers on the right, zero, limits and labels."""
    axes.axvline(0, color="black", lw=1, zorder=1)
    ends = lines[-1].height + 0.8, -0.8
    axes.set_ylim(*ends)
    axes.set_yticks([line.height for line in lines], labels=[line.label for line in lines])
    axes.tick_params(axis="y", length=0)
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if line.cell is None else "normal")
    numbers = axes.twinx()
    numbers.set_ylim(*ends)
    shown = [line for line in lines if line.cell is not None]
    numbers.set_yticks([line.height for line in shown], labels=[_number(_cell(line)) for line in shown])
    numbers.tick_params(axis="y", length=0, labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], min_n_ticks=3))
    axes.grid(axis="x", color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    low, high = axes.get_xlim()
    # Zero is not at the edge: what it divides can be seen on both sides.
    room = max(0.08 * (high - low), 1.0)
    axes.set_xlim(min(low, -room), max(high, room))
    name = cells[0].pair.baseline.name
    axes.set_xlabel(f"difference of {metric.name} to {_short(name)}, percent points")


def _number(cell: Cell) -> str:
    interval = cell.comparison.interval
    between = "no interval" if math.isnan(interval.low) else bounds(interval)
    return f"{signed(cell.comparison.difference.mean)}  ({between})"


def _add_legend(figure: Figure, colors: dict[str, str]) -> None:
    """Name the colours above the plot."""
    handles = [Line2D([], [], color=color, lw=2.2, label=_short(title, 2)) for title, color in colors.items()]
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), 110 // (longest + 8)))
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False)


def _caption(cells: Sequence[Cell], margin: float | None) -> str:
    sentences = [
        "Bar: 95 % interval by Student's t, not corrected for the number of comparisons.",
        "Filled: told apart from zero at 5 % after Holm's correction.",
    ]
    if any(cell.is_average for cell in cells):
        sentences.append("Diamond: average over suites of equal weight.")
    if margin is not None:
        sentences.append(f"Grey band: ±{100 * margin:g} points.")
    if all(len(cell.pair.method.runs) == 1 for cell in cells):
        sentences.append("One seed each: checkpoints are compared, not methods.")
    return " ".join(sentences)


def _short(name: str, times: int = 1) -> str:
    """Return a name without its middle where it is long; ends tell names apart."""
    longest = LONGEST_NAME * times
    return name if len(name) <= longest else f"{name[: longest // 2 - 1]}…{name[-longest // 2 :]}"
