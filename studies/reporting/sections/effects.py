"""What each part of an algorithm does to the scores: main effects and interactions of a factorial design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from scipy import stats

from studies.reporting.cells import entries_of, heading, p_value, percent, signed
from studies.reporting.dots import Dot, dots
from studies.reporting.factorial import Design, aliases, design_of, fit
from studies.reporting.parts import Chart, Context, Part, Section
from studies.reporting.run_scores import averages_of, run_scores, same_runs

_HEADING = "Effects of the parts"


def part(context: Context) -> Part:
    """Return the effects on each average, at each scale."""
    study = context.records.study
    trained = [arm for arm in study.arms if study.runs[arm]["algorithm"] is not None]
    scales = list(dict.fromkeys(study.runs[arm]["scale"] for arm in trained))
    parts = [
        _of_scale(context, [arm for arm in trained if study.runs[arm]["scale"] == scale], scale, len(scales))
        for scale in scales
    ]
    return Part(
        [section for each in parts for section in each.sections],
        [chart for each in parts for chart in each.charts],
    )


def _of_scale(context: Context, arms: Sequence[str], scale: str, scales: int) -> Part:
    study = context.records.study
    suffix = "" if scales == 1 else "_" + "".join(c if c.isalnum() else "_" for c in scale)
    title = _HEADING if scales == 1 else f"{_HEADING}, {scale}"
    reference = next((study.baselines[arm] for arm in arms if arm in study.baselines), arms[0])
    try:
        design = design_of({arm: study.runs[arm] for arm in arms}, reference)
    except ValueError as error:
        return Part([Section(f"effects{suffix}", title, pd.DataFrame({"effect": []}), [f"None: {error}."])])
    scores = run_scores(context.records, context.distributions)
    scores = scores[scores["arm"].isin(arms)]
    if len(scores):
        scores = scores.join(same_runs(context.records).rename("same"), on=["arm", "seed"])
    fits = {
        heading(average): fit(design, scores[scores["suite"] == average]) for average in averages_of(scores)
    }
    missing = _missing(context, arms)
    if not design.factors or not fits:
        why = "None: no run is finished." if design.factors else "None: the arms' algorithms do not differ."
        return Part([Section(f"effects{suffix}", title, pd.DataFrame({"effect": []}), [why, *missing])])
    table = pd.concat([found.assign(average=name) for name, found in fits.items()], ignore_index=True)
    table["effect_of"] = [" × ".join(term) for term in table.pop("term")]
    notes = [*_notes(fits, len(design.terms)), *_same(scores), *missing, *_unknown(fits)]
    shown = Section(f"effects{suffix}", title, _cells(design, fits), notes, data=table)
    return Part([shown, *_aliases(design, suffix)], [_chart(fits, f"effects{suffix}", title)])


def _cells(design: Design, fits: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    swaps: dict[tuple[str, ...], str] = {
        (factor.name,): f"{factor.levels[1]} in place of {factor.levels[0]}" for factor in design.factors
    }
    rows = [{"effect": " × ".join(term), "of": swaps.get(term, "interaction")} for term in design.terms]
    for name, found in fits.items():
        for row, entry in zip(rows, entries_of(found), strict=True):
            row[name] = _cell(entry)
    return pd.DataFrame(rows)


def _cell(entry: Mapping[str, Any]) -> str:
    if not entry["estimable"]:
        return "not estimable"
    return f"{signed(entry['effect'])} ± {percent(entry['se'])} (p {p_value(entry['p_holm'])})"


def _notes(fits: Mapping[str, pd.DataFrame], terms: int) -> list[str]:
    degrees = "; ".join(
        f"{name} {found['degrees'].min():.0f} to {found['degrees'].max():.0f}" for name, found in fits.items()
    )
    return [
        "Percent points ± one standard error. A main effect is the mean over all arms with the one part less "
        "that over all arms with the other, other parts averaged over; an interaction is half of what one "
        "part's effect changes by where the other part is swapped, too.",
        "Least squares on the runs' averages with seeds as blocks and codes of ±1; for new seeds on the same "
        "questions. Errors allow for arms that spread unequally; with all runs there and all different they "
        "are the pooled error. Clusters of arms would leave nothing to estimate an error from where the "
        "effects fit the arms' means exactly.",
        "p: two-sided, by Student's t, corrected by Holm's method for the effects shown in a column "
        f"({terms}). Degrees of freedom: {degrees}.",
    ]


def _same(scores: pd.DataFrame) -> list[str]:
    """Return which arms are the same algorithm, as their runs show."""
    runs = scores.drop_duplicates(["arm", "seed"])
    found = runs.groupby("same")["arm"].agg(lambda arms: " = ".join(arms))
    equal = list(dict.fromkeys(text for text in found if " = " in text))
    if not equal:
        return []
    alike = len(runs) - len(found)
    return [
        "Runs that answered every question as another one of their seed did are that one under two names, "
        f"and count once in the errors ({alike} of {len(runs)}): {'; '.join(equal)}."
    ]


def _missing(context: Context, arms: Sequence[str]) -> list[str]:
    runs = context.records.runs
    gone = runs[runs["arm"].isin(arms) & (runs["state"] != "finished")]
    if gone.empty:
        return []
    named = zip(gone["arm"], gone["seed"], gone["state"], strict=True)
    told = "; ".join(f"{arm}, seed {seed} ({state})" for arm, seed, state in named)
    return [f"Without the runs that are not finished, so that effects are no plain means: {told}."]


def _unknown(fits: Mapping[str, pd.DataFrame]) -> list[str]:
    names = [
        " × ".join(term)
        for term in dict.fromkeys(
            term for found in fits.values() for term in found.loc[~found["estimable"], "term"]
        )
    ]
    if not names:
        return []
    return [f"Not estimable from the runs that are finished, and not guessed: {', '.join(names)}."]


def _aliases(design: Design, suffix: str) -> list[Section]:
    """Return which effects a fraction of all combinations cannot tell apart; nothing of a full design."""
    found = aliases(design)
    if not found:
        return []
    rows = [{"effect": " × ".join(term), "aliased with": ", ".join(same)} for term, same in found.items()]
    arms, full = len(design.codes), 2 ** len(design.factors)
    notes = [
        f"{arms} of {full} combinations. Each effect is the sum of itself and what it is aliased with; it is "
        "told as its own where that is a negligible interaction of three or more parts."
    ]
    return [Section(f"aliases{suffix}", "What the fraction cannot tell apart", pd.DataFrame(rows), notes)]


def _chart(fits: Mapping[str, pd.DataFrame], name: str, title: str) -> Chart:
    drawn = []
    for average, found in fits.items():
        for entry in entries_of(found[found["se"].notna()]):
            half = stats.t.ppf(0.975, entry["degrees"]) * entry["se"]
            low, value, high = (100 * (entry["effect"] + part) for part in (-half, 0.0, half))
            drawn.append(Dot(" × ".join(entry["term"]), value, low, high, column=average))
    spec = dots(drawn, "effect (points)", zero=True)
    return Chart(name, title, spec, ["Dot: effect. Line: its 95 % interval, not corrected for their number."])
