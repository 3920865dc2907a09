"""What is drawn of training: the metrics of each arm by step, over its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from studies.reporting.panels import OFFLINE_SHARE, PANELS, Panel
from studies.reporting.records import Records

# More points of a line than this are not seen apart; a page would only grow by them.
POINTS = 200


class Traced(NamedTuple):
    """An arm and its metrics by step."""

    name: str
    metrics: pd.DataFrame

    def curves(self, metric: str, window: int) -> pd.DataFrame:
        """Return the metric by step (rows) and seed (columns); empty where it was never measured."""
        if metric not in self.metrics:
            return pd.DataFrame()
        wide = self.metrics.pivot(index="step", columns="seed", values=metric).dropna(
            axis="columns", how="all"
        )
        return wide.rolling(window, center=True, min_periods=1).mean().where(wide.notna())


class Drawn(NamedTuple):
    """What a panel shows.

    Args:
        panel: Which.
        lines: For each arm that has one: `step`, the mean over seeds (`mean`), `low`, `high` and `seeds`.
        remark: Which arms have none, and why.
    """

    panel: Panel
    lines: dict[str, pd.DataFrame]
    remark: str


def trained_arms(records: Records) -> list[str]:
    """Return the arms that train, whether or not they have."""
    return [arm for arm in records.study.arms if records.study.runs[arm]["algorithm"] is not None]


def traced(records: Records) -> list[Traced]:
    """Return the arms that have metrics."""
    of = {arm: records.metrics[records.metrics["arm"] == arm] for arm in trained_arms(records)}
    return [Traced(arm, metrics) for arm, metrics in of.items() if len(metrics)]


def drawn_panels(records: Records) -> Iterator[Drawn]:
    """Yield what each panel of training shows, then one panel for each suite that was validated on."""
    arms, window = traced(records), smoothing_window(records.metrics)
    for panel in PANELS:
        if not panel.optional or any(len(arm.curves(panel.metric, 1)) for arm in arms):
            yield _drawn(panel, arms, window)
    yield from _validations(records, [arm.name for arm in arms])


def smoothing_window(metrics: pd.DataFrame) -> int:
    """Return the steps that a point is the mean of: odd, about a twentieth of the run."""
    return 2 * (int(metrics["step"].max()) // 40) + 1 if len(metrics) else 1


def stride(metrics: pd.DataFrame) -> int:
    """Return every how many steps a point is drawn."""
    return max(1, math.ceil(int(metrics["step"].max()) / POINTS)) if len(metrics) else 1


def caption(records: Records, window: int) -> str:
    """Return what lines and bands are, and which arms have none."""
    smooth = f", each smoothed by a centred moving mean over {window} steps" if window > 1 else ""
    but = " (validations are not)" if smooth and len(records.validations) else ""
    runs, study = records.runs, records.study
    untrained = [arm for arm in study.arms if study.runs[arm]["algorithm"] is None]
    measured = set(records.metrics["arm"])
    absent = [arm for arm in study.arms if arm not in measured and arm not in untrained]
    finished, wanted = int((runs["state"] == "finished").sum()), len(runs)
    sentences = [
        f"Line: mean over seeds{smooth}{but}.",
        "Band: from the smallest to the largest seed; none with one seed.",
        f"A point every {stride(records.metrics)} steps." if stride(records.metrics) > 1 else "",
        f"{finished} of {wanted} runs finished; the others are not drawn." if finished < wanted else "",
        f"Not trained: {', '.join(untrained)}." if untrained else "",
        f"No finished run: {', '.join(absent)}." if absent else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def constant_share(curves: pd.DataFrame, panel: Panel) -> float | None:
    """Return the share that an arm has by construction, all of 0 or all of 100 %; None if it varies.

    Such arms are named, not drawn: their lines would leave the others no room.
    """
    if panel.metric != OFFLINE_SHARE:
        return None
    levels = set(curves.stack())
    return levels.pop() if len(levels) == 1 and levels <= {0.0, 100.0} else None


def _drawn(panel: Panel, arms: Sequence[Traced], window: int) -> Drawn:
    absent, imitating = [], []
    constant: dict[float, list[str]] = {}
    lines: dict[str, pd.DataFrame] = {}
    for arm in arms:
        curves = arm.curves(panel.metric, window) * panel.factor
        if curves.empty:
            absent.append(arm.name)
            continue
        if (level := constant_share(curves, panel)) is not None:
            constant.setdefault(level, []).append(arm.name)
            continue
        if panel.metric == "rollout/response_tokens" and arm.metrics["rollout/solve_rate"].isna().any():
            imitating.append(arm.name)
        apart = stride(arm.metrics)
        last = int(curves.index.max())
        lines[arm.name] = _over_seeds(curves[(curves.index == 1) | ((last - curves.index) % apart == 0)])
    remarks = [f"not measured: {', '.join(absent)}"] if absent else []
    told = [
        f"{'every arm' if len(names) == len(arms) > 1 else ', '.join(names)} {level:.0f} %"
        for level, names in constant.items()
    ]
    remarks += [f"throughout: {', '.join(told)}"] if told else []
    remarks += [f"of demonstrations while nothing is sampled: {', '.join(imitating)}"] if imitating else []
    return Drawn(panel, lines, "; ".join(remarks))


def _validations(records: Records, arms: Sequence[str]) -> Iterator[Drawn]:
    """Yield a panel for each suite: of the questions that were asked, what they scored on average."""
    found = records.validations
    if found.empty:
        return
    asked = list(dict.fromkeys(found["suite"]))
    for suite in [name for name in dict.fromkeys([*records.study.suites, *asked]) if name in asked]:
        own = found[found["suite"] == suite]
        lines = {}
        for arm in arms:
            scores = own[own["arm"] == arm].groupby(["step", "seed"])["score"].mean().unstack("seed")
            if len(scores):
                lines[arm] = _over_seeds(scores * 100)
        questions = own.groupby(["arm", "seed", "step"])["question"].nunique().unique()
        told = f"{questions[0]} questions" if len(questions) == 1 else "numbers of questions differ"
        absent = [arm for arm in arms if arm not in lines]
        remark = "; ".join([told, *([f"not validated: {', '.join(absent)}"] if absent else [])])
        panel = Panel(suite, f"Validation: {suite}", "score, avg@k (%)", 100, True, smooth=False)
        yield Drawn(panel, lines, remark)


def extents(drawn: Drawn, steps: int) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the ends of a panel's axes: of steps, all `steps` where it is empty, and of numbers."""
    if not any(map(len, drawn.lines.values())):
        return (1, max(2, steps)), (0.0, drawn.panel.ceiling or 1.0)
    joined = pd.concat(line for line in drawn.lines.values() if len(line))
    low = 0.0 if drawn.panel.zero else float(joined["low"].min())
    high = float(joined["high"].max()) if drawn.panel.ceiling is None else drawn.panel.ceiling
    # One number, or one step, still takes some room.
    step = int(joined["step"].min())
    return (step, max(step + 1, int(joined["step"].max()))), (low, high if high > low else low + 1.0)


def _over_seeds(curves: pd.DataFrame) -> pd.DataFrame:
    over = {"mean": curves.mean(axis=1), "low": curves.min(axis=1), "high": curves.max(axis=1)}
    # A step without the metric between two that have it breaks the line; before and after there is no line.
    shown = pd.DataFrame(over | {"seeds": curves.notna().sum(axis=1)})
    known = shown.index[shown["mean"].notna()]
    return (shown.loc[known.min() : known.max()] if len(known) else shown.iloc[:0]).reset_index()


def rounded(value: Any) -> float | None:  # noqa: ANN401
    """Return a number as it is written into a chart: five digits show all that can be seen."""
    return None if pd.isna(value) else float(f"{value:.5g}")
