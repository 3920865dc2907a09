"""How scores depend on the learning rate, and what tuning it is worth: as many trials for each algorithm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import altair as alt
import pandas as pd

from studies.reporting.cells import heading, percent, signed
from studies.reporting.dots import rounded
from studies.reporting.figures import COLORS, specification
from studies.reporting.parts import NOTHING, Chart, Context, Part, Section
from studies.reporting.run_scores import averages_of, run_scores
from studies.reporting.tuning import Choice, Tuned, choose, edge, tuned_algorithms

_DATA = "rates"


class _Trials(NamedTuple):
    """An algorithm, its scores by seed and rate for each average, and how many runs it was tried with."""

    tuned: Tuned
    scores: Mapping[str, pd.DataFrame]
    wanted: int

    @property
    def finished(self) -> int:
        return int(next(iter(self.scores.values())).notna().to_numpy().sum()) if self.scores else 0

    def choices(self, averages: Sequence[str]) -> dict[str, Choice]:
        """Return what was chosen by the first average, and what that is worth on each."""
        chosen_by = self.scores[averages[0]]
        return {average: choose(chosen_by, self.scores[average]) for average in averages}


def part(context: Context) -> Part:
    """Return each algorithm's best rate with what it is worth, and its scores by rate."""
    scores = run_scores(context.records, context.distributions)
    if scores.empty:
        empty = pd.DataFrame({"algorithm": []})
        return Part([Section("tuning", "Tuned learning rates", empty, ["None: no run is finished."])])
    averages = averages_of(scores)
    trials = [_trials(context, tuned, scores, averages) for tuned in tuned_algorithms(context.records.study)]
    found = [(each, each.choices(averages)) for each in trials]
    cells = pd.DataFrame([_row(each, choices, averages) for each, choices in found])
    data = pd.DataFrame([_numbers(each, choices) for each, choices in found])
    notes = [*_notes(averages), *_warnings(found, averages)]
    section = Section("tuning", "Tuned learning rates", cells, notes, data=data)
    return Part([section], [_chart(trials, averages)])


def _trials(context: Context, tuned: Tuned, scores: pd.DataFrame, averages: Sequence[str]) -> _Trials:
    own = scores[scores["arm"].isin(tuned.rates)].assign(rate=lambda table: table["arm"].map(tuned.rates))
    seeds, rates = list(context.records.study.seeds), list(tuned.rates.values())
    tables = {
        average: own[own["suite"] == average].pivot(index="seed", columns="rate", values="score")
        for average in averages
    }
    whole = {name: table.reindex(index=seeds, columns=rates) for name, table in tables.items()}
    return _Trials(tuned, whole, len(seeds) * len(rates))


def _row(trials: _Trials, choices: Mapping[str, Choice], averages: Sequence[str]) -> dict[str, str]:
    first = choices[averages[0]]
    at = edge(first.rate, list(trials.tuned.rates.values()))
    rows = {
        "algorithm": trials.tuned.name,
        "trials": f"{trials.finished} of {trials.wanted}",
        "best rate": _rate(first.rate) + (f" ({at} tried)" if at else ""),
        "chosen without each seed": ", ".join(map(_rate, first.chosen.values())) or NOTHING,
    }
    for average, choice in choices.items():
        rows[f"{heading(average)}, as chosen"] = percent(choice.naive, NOTHING)
        rows[f"{heading(average)}, on seeds left out"] = percent(choice.honest, NOTHING)
    gap = first.naive - first.honest
    return rows | {"gap": NOTHING if math.isnan(gap) else signed(gap)}


def _numbers(trials: _Trials, choices: Mapping[str, Choice]) -> dict[str, object]:
    values: dict[str, object] = {
        "algorithm": trials.tuned.name,
        "trials": trials.finished,
        "trials_wanted": trials.wanted,
        "rates": len(trials.tuned.rates),
    }
    for average, choice in choices.items():
        values |= {"best_rate": choice.rate, f"naive {average}": choice.naive}
        values[f"honest {average}"] = choice.honest
    return values


def _notes(averages: Sequence[str]) -> list[str]:
    return [
        f"Best rate: the highest {averages[0].replace('_', ' ')}, mean over seeds. As chosen: what it scored "
        "on the runs that it was chosen by, which flatters it: the best of several is partly the luckiest.",
        "On seeds left out: for each seed the rate is chosen by the other seeds and scored on that one; mean "
        "over seeds. This is what a fresh run of the tuned algorithm may be expected to score, on these "
        "questions. Gap: the one less the other, in points.",
        "A trial is a run: every algorithm is to have as many, or the one with more is tuned better.",
    ]


def _warnings(found: Sequence[tuple[_Trials, Mapping[str, Choice]]], averages: Sequence[str]) -> list[str]:
    lines = []
    counts = {each.tuned.name: (each.finished, len(each.tuned.rates)) for each, _ in found}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {runs} runs at {rates} rates" for name, (runs, rates) in counts.items())
        lines.append(f"Not tuned alike: {told}; their comparison is unfair by that.")
    for end in ("lowest", "highest"):
        names = [
            each.tuned.name
            for each, choices in found
            if edge(choices[averages[0]].rate, list(each.tuned.rates.values())) == end
        ]
        if names:
            lines.append(
                f"The {end} rate that was tried is the best for {', '.join(names)}: the grid is too narrow, "
                f"and the best rate may lie beyond it."
            )
    if any(not choices[averages[0]].chosen for _, choices in found):
        lines.append("–: it takes two seeds with a run at every rate to choose by one and score on another.")
    return lines


def _chart(trials: Sequence[_Trials], averages: Sequence[str]) -> Chart:
    rows = [
        {
            "algorithm": each.tuned.name,
            "average": heading(average),
            "rate": rate,
            "seed": seed,
            "score": rounded(100 * column[seed]),
        }
        for each in trials
        for average in averages
        for rate, column in each.scores[average].items()
        for seed in column.dropna().index.tolist()
    ]
    names = [each.tuned.name for each in trials]
    colors = alt.Scale(domain=names, range=[COLORS[i % len(COLORS)] for i in range(len(names))])
    base = alt.Chart().encode(
        x=alt.X(
            "rate:Q",
            title="learning rate",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(format="~e", values=sorted({row["rate"] for row in rows})),
        ),
        color=alt.Color("algorithm:N", scale=colors, legend=alt.Legend(orient="top", title=None)),
    )
    line = base.mark_line().encode(y=alt.Y("mean(score):Q", title="score (%)", scale=alt.Scale(zero=False)))
    points = base.mark_point(filled=True, size=40).encode(
        y="score:Q", tooltip=["algorithm:N", "rate:Q", "seed:Q", "score:Q"]
    )
    panels = [heading(average) for average in averages]
    chart = (
        alt.layer(line, points, data=alt.NamedData(_DATA))
        .properties(width=380, height=260)
        .facet(column=alt.Column("average:N", sort=panels, title=None))
    )
    notes = ["Line: mean over seeds. Point: one run."]
    return Chart("tuning", "Scores by learning rate", specification(chart, {_DATA: rows}), notes)


def _rate(rate: float) -> str:
    return NOTHING if math.isnan(rate) else f"{rate:.3g}"
