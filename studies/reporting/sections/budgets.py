"""What each arm spent of what its budget limits, and whether that makes it one of those compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from studies.reporting.cells import entries_of, shortened
from studies.reporting.dots import rounded
from studies.reporting.figures import COLORS, specification
from studies.reporting.parts import NOTHING, Chart, Context, Part, Section
from studies.reporting.run_scores import averages_of, run_scores
from studies.reporting.spending import KINDS, LARGEST_STEP, TOLERANCE, limits, quantity, refusals, spendings

_DATA = "spent"


def part(context: Context) -> Part:
    """Return what arms spent beside their budgets, and their scores by what they spent."""
    table = _table(context)
    if table.empty:
        why = "No run that trained is finished: nothing is known of what arms spent."
        return Part([Section("budgets", "Budgets", pd.DataFrame({"arm": []}), [why])])
    cells = pd.DataFrame([_row(entry) for entry in entries_of(table)])
    section = Section("budgets", "Budgets and what was spent of them", cells, _notes(context), data=table)
    return Part([section], _charts(context, table))


def _table(context: Context) -> pd.DataFrame:
    """Return a row for each arm that trained: its limits, the means over runs, ratio and verdict."""
    records, refused = context.records, refusals(context.records)
    spent = spendings(records)
    rows = []
    for arm in records.study.arms:
        run = records.study.runs[arm]
        own = spent[spent["arm"] == arm]
        if run["algorithm"] is None:
            continue
        given = limits(run)
        ratios = [own[kind] / limit for kind, limit in given.items()]
        # Of several limits the one that a run came nearest to is the one that ended it.
        nearest = pd.concat(ratios, axis=1).max(axis=1) if ratios else pd.Series(dtype="float64")
        rows.append(
            {
                "arm": arm,
                "runs": len(own),
                "budget": ", ".join(f"{quantity(v)} {KINDS[kind].unit}" for kind, v in given.items()),
                **{kind: own[kind].mean() for kind in KINDS},
                "ratio": nearest.mean(),
                "ratio_low": nearest.min(),
                "ratio_high": nearest.max(),
                "steps": own["steps"].mean(),
                "verdict": _verdict(arm, given, len(own), refused),
            }
        )
    return pd.DataFrame(rows) if len(spent) else pd.DataFrame()


def _verdict(arm: str, given: Mapping[str, float], runs: int, refused: Mapping[str, str]) -> str:
    if not given:
        return "no budget"
    if not runs:
        return "no finished run"
    return f"refused: {refused[arm]}" if arm in refused else "within"


def _row(entry: Mapping[str, Any]) -> dict[str, str]:
    ratio = NOTHING
    if not pd.isna(entry["ratio"]):
        low, high = (f"{entry[end]:.2f}" for end in ("ratio_low", "ratio_high"))
        ratio = f"{entry['ratio']:.2f}" + ("" if low == high else f" ({low} to {high})")
    return {
        "arm": entry["arm"],
        "budget": entry["budget"] or NOTHING,
        **{kind.label: quantity(entry[name]) for name, kind in KINDS.items()},
        "steps": NOTHING if pd.isna(entry["steps"]) else f"{entry['steps']:.0f}",
        "spent / budget": ratio,
        "verdict": shortened(entry["verdict"]),
    }


def _notes(context: Context) -> list[str]:
    run = next(iter(context.records.study.runs.values()))
    several = len({each["scale"] for each in context.records.study.runs.values()}) > 1
    place = "" if several else f" at {run['scale']}"
    notes = [
        f"Means over finished runs{place}, of training alone: evaluation and checkpoints spend nothing. "
        "FLOP are closed forms of sampling, scoring and training; spent / budget also from the lowest to the "
        "highest run.",
        "Within: a run ends with the step that reaches its budget, so it may be over by what that step "
        f"spent, or by {100 * TOLERANCE:.0f} %; it is refused if it is under by more than "
        f"{100 * TOLERANCE:.0f} %, or if the last step took more than {100 * LARGEST_STEP:.0f} % of the "
        "budget. An arm is refused if any of its runs is, and then compared with none: its differences say "
        "so, and it is never in bold.",
    ]
    if any("seconds" in limits(each) for each in context.records.study.runs.values()):
        notes.append(
            "Seconds depend on the machine and on what else it does, above all on how many workers share it. "
            "Arms with a budget of seconds are compared as this machine ran them, and score otherwise on "
            "another one or beside more workers."
        )
    return notes


def _charts(context: Context, table: pd.DataFrame) -> list[Chart]:
    """Return the first average's score by each kind of spending, with the arms that none dominates joined."""
    scores = run_scores(context.records, context.distributions)
    if scores.empty:
        return []
    average = averages_of(scores)[0]
    means = 100 * scores[scores["suite"] == average].groupby("arm")["score"].mean()
    runs = context.records.study.runs
    shown = [entry for entry in entries_of(table) if entry["arm"] in means.index]
    algorithms = list(dict.fromkeys(runs[entry["arm"]]["algorithm"]["function"] for entry in shown))
    panels, data = [], {}
    for name, kind in KINDS.items():
        rows = [
            {
                "arm": entry["arm"],
                "algorithm": runs[entry["arm"]]["algorithm"]["function"],
                "budget": ", ".join(KINDS[each].label for each in limits(runs[entry["arm"]])) or "none",
                "verdict": "refused" if entry["verdict"].startswith("refused") else entry["verdict"],
                "spent": rounded(entry[name]),
                "score": rounded(means[entry["arm"]]),
            }
            for entry in shown
            if not pd.isna(entry[name])
        ]
        data[f"{_DATA}_{name}"] = frontier(rows)
        panels.append(_panel(f"{_DATA}_{name}", kind.label, average, algorithms))
    chart = alt.concat(*panels, columns=2, spacing={"row": 26, "column": 34})
    notes = [
        f"Means over seeds; score: {average.replace('_', ' ')} in percent. The line joins the arms that no "
        "other one scores more than for the same or less; hollow arms are refused and not on it. Which arms "
        "differ beyond chance the table of differences says."
    ]
    return [Chart("pareto", "Score by what was spent", specification(chart, data), notes)]


def frontier(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark in each row whether no other arm that counts scores as much for less, or more for as much."""
    counted = [row for row in rows if row["verdict"] != "refused"]
    for row in rows:
        beaten = any(
            other["spent"] <= row["spent"]
            and other["score"] >= row["score"]
            and (other["spent"], other["score"]) != (row["spent"], row["score"])
            for other in counted
        )
        row["frontier"] = row["verdict"] != "refused" and not beaten
    return rows


def _panel(data: str, label: str, average: str, algorithms: list[str]) -> Any:  # noqa: ANN401
    base = alt.Chart(alt.NamedData(data)).encode(
        x=alt.X("spent:Q", title=label, axis=alt.Axis(format="~s")),
        y=alt.Y("score:Q", title=f"{average.replace('_', ' ')} (%)", scale=alt.Scale(zero=False)),
    )
    colors = alt.Scale(domain=algorithms, range=[COLORS[i % len(COLORS)] for i in range(len(algorithms))])
    opacity = alt.condition("datum.verdict == 'refused'", alt.value(0.1), alt.value(0.9))
    line = base.mark_line(interpolate="step-after", color="#888888", strokeDash=[4, 3])
    legend = alt.Legend(orient="top", title=None)
    points = base.mark_point(filled=True, size=75, strokeWidth=1.5).encode(
        color=alt.Color("algorithm:N", scale=colors, legend=legend),
        stroke=alt.Stroke("algorithm:N", scale=colors, legend=legend),
        shape=alt.Shape("budget:N", legend=alt.Legend(orient="top", title="budget of")),
        fillOpacity=opacity,
        tooltip=["arm:N", "verdict:N", "spent:Q", "score:Q"],
    )
    return alt.layer(line.transform_filter("datum.frontier"), points).properties(width=400, height=210)
