"""Published numbers beside ours, with a verdict, where runs are what the published ones were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from studies.published import find_published
from studies.published.quantities import Compared, Quantity, compare
from studies.published.tables import ScoreTable, Table
from studies.published.verdicts import Judged, judge
from studies.record import completed
from studies.reporting.cells import heading
from studies.reporting.parts import NOTHING, Context, Part, Section
from studies.reporting.records import Records
from studies.reporting.solved import state_of

NOT_COMPARABLE = "not comparable"


def part(context: Context) -> Part:
    """Return the comparison; nothing where the study makes no published table again."""
    records = context.records
    study = records.study
    if study.published is None:
        return Part()
    table = find_published(study.published)
    arms = {arm: completed(study.runs[arm]) for arm in study.arms}
    found = compare(records, arms, table)
    judged = [
        None if each.reason else judge(each.ours, each.published, table.paper.margin, each.digit)
        for each in found.quantities
    ]
    lines = list(zip(found.quantities, judged, strict=True))
    rows = [_row(records, each, verdict) for each, verdict in lines]
    rows += _apart(found.apart, study.arms)
    told = list(_notes(table, found, [verdict for verdict in judged if verdict is not None], arms))
    data = pd.DataFrame([_numbers(each, verdict) for each, verdict in lines]) if lines else None
    cells = pd.DataFrame(rows, columns=_columns(rows)).fillna(NOTHING)
    return Part([Section("published", f"Beside the published {table.caption}", cells, told, data=data)])


def _row(records: Records, quantity: Quantity, judged: Judged | None) -> dict[str, str]:
    """Return a quantity as text; the published number is there only where ours may be held against it."""
    shared = {"arm": quantity.arm, "published as": quantity.row, "suite": heading(quantity.name)}
    if judged is None:
        return shared | {"verdict": NOT_COMPARABLE, "status": quantity.reason}
    ours = f"{judged.mean:.1f} ± {_number(judged.error)}"
    return shared | {
        "published": f"{quantity.published:.1f}",
        "ours": ours if judged.runs else _states(records, quantity.arm),
        "difference": _signed(judged.difference),
        "95 %": NOTHING if pd.isna(judged.low) else f"{_signed(judged.low)} to {_signed(judged.high)}",
        "runs": str(judged.runs),
        "verdict": judged.verdict,
    }


def _states(records: Records, arm: str) -> str:
    """Return what became of the runs of an arm, or of the arms of a pair, that have no number."""
    states = {each: state_of(records, each) for each in records.study.arms if each in arm.split(" vs ")}
    told = dict.fromkeys(state for state in states.values() if state)
    return ", ".join(told) or NOTHING


def _apart(apart: Mapping[str, Sequence[str]], arms: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield a row for the arms that differ from the published runs in the same settings."""
    for reason, those in apart.items():
        named = "every arm" if len(those) == len(arms) else ", ".join(those)
        yield {"arm": named, "verdict": NOT_COMPARABLE, "status": reason}


def _columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    order = ("arm", "published as", "suite", "published", "ours", "difference", "95 %", "runs", "verdict")
    return [name for name in (*order, "status") if any(name in row for row in rows)] or ["arm", "verdict"]


def _numbers(quantity: Quantity, judged: Judged | None) -> dict[str, Any]:
    """Return a row of the data, in points."""
    empty = judge((), quantity.published, 1.0)._asdict()
    found = {**empty, "verdict": NOT_COMPARABLE} if judged is None else judged._asdict()
    verdict = found.pop("verdict")
    published = None if judged is None else quantity.published
    shared = {"arm": quantity.arm, "row": quantity.row, "suite": quantity.name, "published": published}
    return shared | found | {"verdict": verdict, "reason": quantity.reason}


def _notes(
    table: Table, found: Compared, judged: Sequence[Judged], arms: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    paper = table.paper
    yield f"{paper.title}. {paper.cited}, {paper.url}; {paper.runs} run a row, without an error."
    if found.apart:
        scales = (
            dict.fromkeys(paper.models[row.scale] for row in table.rows)
            if isinstance(table, ScoreTable)
            else {paper.models[table.scale]: None}
        )
        known = [scale for scale, model in paper.models.items() if model in scales]
        yield (
            "Where settings differ no published number stands beside ours; they are the published ones at "
            f"{' or '.join(f'--scale {scale}' for scale in known)}."
        )
    if found.absent:
        yield f"Arms that the table has no row of: {', '.join(found.absent)}."
    if not found.quantities:
        return
    yield from _meaning(judged, paper.margin)
    shown = [each for each in found.quantities if not each.reason]
    records = [arms[each.arm]["algorithm"] for each in shown if each.arm in arms]
    told = {each.name for each in shown} | {record["function"] for record in records if record}
    for name, remark in paper.remarks.items():
        if name in told:
            yield f"{name}: {remark}."
    if isinstance(table, ScoreTable):
        made = {each.row for each in found.quantities}
        rest = [row.name for row in table.rows if row.name not in made]
        if rest:
            yield f"Rows of the table that no arm here makes again: {', '.join(rest)}."


def _meaning(judged: Sequence[Judged], margin: float) -> Iterator[str]:
    yield (
        "Percent and points. Ours: mean over runs ± its standard error between runs, on the same questions. "
        "Difference: ours − published. 95 %: its interval by Student's t with s²(1 + 1/n), s the standard "
        "deviation of our n runs: the published run is taken to vary as ours do."
    )
    yield (
        f"Contradicted: the interval does not hold 0. Reproduced: it does, and the 90 % interval lies within "
        f"± {margin:g} points, fixed beforehand. Underpowered: neither, fewer than two runs, or no spread "
        "between them."
    )
    counts = Counter(each.verdict for each in judged)
    tested = sum(not pd.isna(each.low) for each in judged)
    listed = ", ".join(f"{verdict} {count}" for verdict, count in counts.items())
    yield (
        f"Verdicts: {listed or 'none'}. Were all published numbers right, {0.05 * tested:.1f} of the "
        f"{tested} with an interval would be contradicted by chance."
    )


def _number(value: float) -> str:
    return "n/a" if pd.isna(value) else f"{value:.1f}"


def _signed(value: float) -> str:
    if pd.isna(value):
        return NOTHING
    return f"{'−' if round(value, 1) < 0 else '+'}{abs(value):.1f}"
