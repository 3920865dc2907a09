"""What runs spent of what budgets limit, and which of them did not spend what they were given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from studies.reporting.records import Records

TOLERANCE = 0.05
"""Share of a budget by which a run may miss it."""

LARGEST_STEP = 0.2
"""Share of a budget that the last step may take: a run of fewer than five steps compares nothing."""


class Kind(NamedTuple):
    """A kind of spending: the metric with its running total, what it is called, and its unit."""

    metric: str
    label: str
    unit: str


KINDS: Mapping[str, Kind] = {
    "generated_tokens": Kind("spent/generated_tokens", "generated tokens", "generated tokens"),
    "demonstration_tokens": Kind(
        "spent/demonstration_tokens", "demonstration tokens", "demonstration tokens"
    ),
    "flops": Kind("spent/flops", "FLOP", "FLOP"),
    "seconds": Kind("time/total", "seconds", "s"),
}
"""By the names of `training.budget.Budget`."""


def limits(run: Mapping[str, object]) -> dict[str, float]:
    """Return the limits of an arm's budget, by kind; `run` is its record."""
    train = run["train"]
    budget = train.get("budget") if isinstance(train, Mapping) else None
    return {kind: limit for kind, limit in (budget or {}).items() if limit is not None}


def spendings(records: Records) -> pd.DataFrame:
    """Return what each finished run spent: arm, seed, steps, and of each kind the total and the last step's.

    The columns are called after the kinds, and `last_` and the kind. NaN where a run did not record it.
    """
    rows = []
    trained = records.metrics if "step" in records.metrics else pd.DataFrame(columns=["arm", "seed", "step"])
    for (arm, seed), run in trained.sort_values("step").groupby(["arm", "seed"], sort=False):
        row: dict[str, object] = {"arm": arm, "seed": seed, "steps": len(run)}
        for name, kind in KINDS.items():
            totals = run[kind.metric].tolist() if kind.metric in run else [math.nan]
            row |= {name: totals[-1], f"last_{name}": totals[-1] - ([0.0, *totals][-2])}
        rows.append(row)
    names = ["arm", "seed", "steps", *KINDS, *(f"last_{name}" for name in KINDS)]
    return pd.DataFrame(rows, columns=names)


def verdict(kind: str, limit: float, spent: float, last: float) -> str | None:
    """Return why a run does not count as one of its budget; None where it does.

    A run ends with the step that reaches its limit, so it may be over by what that step spent.
    """
    unit = KINDS[kind].unit
    told = f"spent {quantity(spent)} of {quantity(limit)} {unit}"
    if math.isnan(spent):
        return f"did not record its {unit}"
    if spent < (1 - TOLERANCE) * limit:
        return told
    if last > LARGEST_STEP * limit:
        return f"{told}, {quantity(last)} of them in one step"
    over = spent - limit
    return told if over > max(TOLERANCE * limit, last) else None


def refusals(records: Records) -> dict[str, str]:
    """Return the arms that are compared with no other, and why: a run of theirs missed its budget."""
    limited = {arm: given for arm in records.study.arms if (given := limits(records.study.runs[arm]))}
    if not limited:
        return {}
    found: dict[str, str] = {}
    for arm, runs in spendings(records).groupby("arm", sort=False):
        reasons = [_missed(limited[str(arm)], run) for _, run in runs.iterrows()] if arm in limited else []
        told = [reason for reason in reasons if reason]
        if told:
            more = f" ({len(told)} of {len(reasons)} runs)" if len(reasons) > 1 else ""
            found[str(arm)] = f"{told[0]}{more}"
    return found


def _missed(limited: Mapping[str, float], run: pd.Series) -> str | None:
    """Return why a run missed its budget: of several limits, the first that is reached ends it."""
    reasons = [verdict(kind, limit, run[kind], run[f"last_{kind}"]) for kind, limit in limited.items()]
    return None if None in reasons else "; ".join(str(reason) for reason in reasons)


def quantity(value: float) -> str:
    """Return a number with three digits and a prefix of its size."""
    if math.isnan(value):
        return "n/a"
    for size, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"
