"""Draw how training went: a panel for each metric, a line for each arm, from the run directories alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from studies.reporting.records import Records

# Okabe and Ito, 2008: told apart with the common colour blindnesses. Yellow is too faint for a line.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", ":", "-.")
INCHES, DPI = (10.0, 7.0), 140
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
GREY = "#555555"


class Panel(NamedTuple):
    """A metric, the panel's heading, the unit, and the factor from the metric to the unit."""

    metric: str
    heading: str
    unit: str
    factor: float = 1.0


PANELS = (
    Panel("rollout/solve_rate", "Solve rate in training", "rollouts solved (%)", 100),
    Panel("data/offline_row_share", "Offline share", "demonstrations in trained rows (%)", 100),
    Panel("rollout/entropy", "Entropy of the policy", "nats per sampled token"),
    Panel("rollout/response_tokens", "Response length", "tokens per response"),
)


class Arm(NamedTuple):
    """How an arm is drawn, and its metrics by step."""

    name: str
    color: str
    dashes: str
    metrics: pd.DataFrame

    def curves(self, metric: str, window: int) -> pd.DataFrame:
        """Return the metric by step (rows) and seed (columns); empty where it was never measured."""
        wide = self.metrics.pivot(index="step", columns="seed", values=metric).dropna(
            axis="columns", how="all"
        )
        return wide.rolling(window, center=True, min_periods=1).mean().where(wide.notna())


def write_dynamics(records: Records) -> Path:
    """Write dynamics.png into the study's folder and return its path; equal records give equal bytes."""
    arms = _arms(records)
    window = smoothing_window(records.metrics)
    # A reader's own matplotlibrc must not change the picture.
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        for axes, panel in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
            _draw(axes, panel, arms, window)
        _add_legend(figure, records.study.title, arms)
        figure.supxlabel(
            _wrapped(caption(records, window), 158), x=0.01, ha="left", size=8, color=GREY, linespacing=1.4
        )
        path = records.directory / "dynamics.png"
        # Without its name the file does not change with the version of the library.
        figure.savefig(path, metadata={"Software": None})
    return path


def smoothing_window(metrics: pd.DataFrame) -> int:
    """Return the steps that a point is the mean of: odd, about a twentieth of the run."""
    return 2 * (int(metrics["step"].max()) // 40) + 1 if len(metrics) else 1


def caption(records: Records, window: int) -> str:
    """Return what lines and bands are, and which arms have none."""
    smooth = f", each smoothed by a centred moving mean over {window} steps" if window > 1 else ""
    runs, study = records.runs, records.study
    untrained = [arm for arm in study.arms if study.runs[arm]["algorithm"] is None]
    drawn = set(records.metrics["arm"])
    absent = [arm for arm in study.arms if arm not in drawn and arm not in untrained]
    finished, wanted = int((runs["state"] == "finished").sum()), len(runs)
    sentences = [
        f"Line: mean over seeds{smooth}. Band: from the smallest to the largest seed; none with one seed.",
        f"{finished} of {wanted} runs finished; the others are not drawn." if finished < wanted else "",
        f"Not trained: {', '.join(untrained)}." if untrained else "",
        f"No finished run: {', '.join(absent)}." if absent else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _arms(records: Records) -> list[Arm]:
    """Return the arms that have metrics; each keeps its colour, whichever others are there."""
    trained = [arm for arm in records.study.arms if records.study.runs[arm]["algorithm"] is not None]
    arms = []
    for index, name in enumerate(trained):
        dashes = STYLES[index // len(COLORS) % len(STYLES)]
        metrics = records.metrics[records.metrics["arm"] == name]
        if len(metrics):
            arms.append(Arm(name, COLORS[index % len(COLORS)], dashes, metrics))
    return arms


def _draw(axes: Axes, panel: Panel, arms: Sequence[Arm], window: int) -> None:
    absent, imitating, level_arms = [], [], []
    for arm in arms:
        curves = arm.curves(panel.metric, window) * panel.factor
        if curves.empty:
            absent.append(arm.name)
            continue
        if (level := constant_share(curves, panel)) is not None:
            level_arms.append(f"{arm.name} {level:.0f} %")
            continue
        if panel.metric == "rollout/response_tokens" and arm.metrics["rollout/solve_rate"].isna().any():
            imitating.append(arm.name)
        look: dict[str, Any] = {"color": arm.color, "ls": arm.dashes, "lw": 1.7}
        # Shares of 0 and 1 lie on the frame: neither cut them in half nor hide them behind it.
        axes.plot(curves.index, curves.mean(axis=1), clip_on=False, zorder=3, **look)
        if curves.shape[1] > 1:
            low, high = curves.min(axis=1), curves.max(axis=1)
            axes.fill_between(curves.index, low, high, color=arm.color, alpha=0.15, lw=0)
    remarks = [f"not measured: {', '.join(absent)}"] if absent else []
    remarks += [f"throughout: {', '.join(level_arms)}"] if level_arms else []
    remarks += [f"of demonstrations while nothing is sampled: {', '.join(imitating)}"] if imitating else []
    _dress(axes, panel, "; ".join(remarks))


def constant_share(curves: pd.DataFrame, panel: Panel) -> float | None:
    """Return the share that an arm has by construction, all of 0 or all of 100 %; None if it varies.

    Such arms are named, not drawn: their lines would leave the others no room.
    """
    if panel.metric != "data/offline_row_share":
        return None
    levels = set(curves.stack())
    return levels.pop() if len(levels) == 1 and levels <= {0.0, 100.0} else None


def _dress(axes: Axes, panel: Panel, remark: str) -> None:
    """Add heading, remark, labels and limits."""
    axes.set_title(panel.heading, loc="left", weight="bold", pad=18)
    shown = textwrap.shorten(remark, 88, placeholder=" …")
    axes.text(0, 1.03, _literal(shown), transform=axes.transAxes, size=8, color=GREY)
    axes.set_xlabel("step")
    axes.set_ylabel(panel.unit)
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
    axes.grid(color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    if panel.metric == "rollout/solve_rate":
        axes.set_ylim(0, 100)
    elif panel.unit.endswith("(%)"):
        axes.set_ylim(bottom=0)


def _add_legend(figure: Figure, title: str, arms: Sequence[Arm]) -> None:
    """Name the lines, below the study's title."""
    handles = []
    for arm in arms:
        seeds = arm.metrics["seed"].nunique()
        name = _wrapped(textwrap.shorten(arm.name, 44, placeholder="…"), 44)
        label = f"{name} ({seeds} seed{'s' if seeds > 1 else ''})"
        handles.append(Line2D([], [], color=arm.color, ls=arm.dashes, lw=2.2, label=label))
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    columns = max(1, min(len(handles), 150 // (longest + 6)))
    legend = figure.legend(
        handles=handles, title=_wrapped(title, 110), loc="outside upper left", ncols=columns, frameon=False
    )
    legend.set_alignment("left")
    legend.get_title().set(size=12, weight="bold")


def _literal(text: str) -> str:
    # A dollar sign would start a formula.
    return text.replace("$", r"\$")


def _wrapped(text: str, width: int) -> str:
    return _literal(textwrap.fill(" ".join(text.split()), width))
