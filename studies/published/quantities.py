"""What of a study stands in a published table, run by run, and what cannot be held against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from studies.published.comparable import (
    Run,
    argument_reasons,
    find_row,
    has_algorithm,
    has_model,
    suite_reason,
    training_reasons,
)
from studies.published.tables import ScoreTable, SolveRow, SolveTable, Table
from studies.reporting.records import Records
from studies.reporting.run_scores import run_scores
from studies.reporting.solved import solved_by_seed

COPIED = "copied from another paper there, not run by its authors"


class Quantity(NamedTuple):
    """A published number and what our runs came to, in points.

    Args:
        arm: Whose runs.
        row: What the table calls it.
        name: The suite, average or count.
        published: The number that is printed.
        digit: Its last one; 0 where it is exact.
        ours: A number for each finished run.
        reason: Why the two may not be held against each other; empty where they may.
    """

    arm: str
    row: str
    name: str
    published: float
    digit: float
    ours: tuple[float, ...]
    reason: str = ""


class Compared(NamedTuple):
    """A study beside a published table.

    Args:
        quantities: Of arms that are rows of the table, under its protocol.
        apart: Arms that differ from the published runs, by what they differ in.
        absent: Arms that the table has no row of, though it is about their model.
    """

    quantities: list[Quantity]
    apart: dict[str, list[str]]
    absent: list[str]


def compare(records: Records, arms: Mapping[str, Run], table: Table) -> Compared:
    """Return what of a study stands in a table.

    Args:
        records: Of the study.
        arms: The arms' configurations.
        table: What they are held against.
    """
    found = Compared([], {}, [])
    usable: dict[str, Run] = {}
    for arm, run in arms.items():
        reason = _reason(run, table)
        if reason:
            found.apart.setdefault(reason, []).append(arm)
        elif _arguments(run, table) is None:
            found.absent.append(arm)
        else:
            usable[arm] = run
    if isinstance(table, ScoreTable):
        scores = run_scores(records, {})
        for arm, run in usable.items():
            found.quantities.extend(_score_quantities(scores[scores["arm"] == arm], arm, run, table))
    else:
        found.quantities.extend(_solve_quantities(records.samples, usable, table))
    return found


def _reason(run: Run, table: Table) -> str:
    """Return in what an arm differs from the published runs; empty where in nothing."""
    scales = list(dict.fromkeys(_scales(table)))
    own = next((scale for scale in scales if has_model(run, scale, table.paper)), None)
    reasons = training_reasons(run, own or scales[0], table.paper)
    if own is None:
        lacking = [suite for suite in _suites(table) if suite not in run["evaluation"]["suites"]]
        reasons += [f"not evaluated on {', '.join(lacking)}"] if lacking else []
    arguments = _arguments(run, table)
    if own is not None and arguments is not None:
        reasons += argument_reasons(run, own, arguments)
    row = find_row(run, table) if isinstance(table, ScoreTable) else None
    if row is not None and row.copied:
        reasons.append(f"{row.name}: {COPIED}")
    return "; ".join(reasons)


def _arguments(run: Run, table: Table) -> Mapping[str, Any] | None:
    """Return the arguments that a table's row of an arm is about; None where it has no such row."""
    if isinstance(table, ScoreTable):
        row = find_row(run, table)
        return None if row is None else row.arguments
    side = _side(run, table)
    return None if side is None else table.arguments if side == table.algorithm else {}


def _score_quantities(scores: pd.DataFrame, arm: str, run: Run, table: ScoreTable) -> Iterator[Quantity]:
    """Yield an arm's suites, then the averages as the table has them."""
    row = find_row(run, table)
    assert row is not None
    by_suite = scores.pivot(index="seed", columns="suite", values="score") * 100
    groups = {suite: (suite,) for suite in row.scores} | dict(table.averages)
    for name, published in [*row.scores.items(), *row.averages.items()]:
        reason = suite_reason(run, groups[name], table.paper)
        own = by_suite.reindex(columns=list(groups[name]))
        ours = () if reason else tuple(own.mean(axis=1, skipna=False).dropna())
        yield Quantity(arm, row.name, name, published, table.paper.digit, ours, reason)


def _scales(table: Table) -> Sequence[str]:
    return [row.scale for row in table.rows] if isinstance(table, ScoreTable) else [table.scale]


def _suites(table: Table) -> Sequence[str]:
    return table.suites if isinstance(table, ScoreTable) else [table.suite]


def _side(run: Run, table: SolveTable) -> str | None:
    """Return the table's name of an arm's algorithm; None where it has none."""
    if has_algorithm(run, table.algorithm, table.arguments):
        return table.algorithm
    return next((row.algorithm for row in table.rows if has_algorithm(run, row.algorithm, {})), None)


def _solve_quantities(
    samples: pd.DataFrame, arms: Mapping[str, Run], table: SolveTable
) -> Iterator[Quantity]:
    """Yield the shares of questions that one of a pair solves alone: of each level, and of all."""
    named = {_side(run, table): arm for arm, run in arms.items()}
    ours = named.get(table.algorithm)
    for row in table.rows:
        theirs = named.get(row.algorithm)
        if ours is None or theirs is None:
            continue
        reasons = [suite_reason(arms[arm], [table.suite], table.paper) for arm in (ours, theirs)]
        reason = "; ".join(dict.fromkeys(filter(None, reasons)))
        pair = None if reason else _Pair.of(samples, ours, theirs, table.suite)
        for name, level, sign, published in _entries(row, table):
            shares = () if pair is None else pair.shares(level, sign)
            yield Quantity(f"{ours} vs {theirs}", row.name, name, published, 0.0, shares, reason)


def _entries(row: SolveRow, table: SolveTable) -> Iterator[tuple[str, str | None, int, float]]:
    """Yield name, level, sign and published share in percent of each number of a row."""
    for level, counts in row.levels.items():
        for sign, count in zip((1, -1), counts, strict=True):
            share = 100 * count / table.questions[level]
            yield f"level {level} {'gained' if sign > 0 else 'lost'}", level, sign, share
    for sign, count in zip((1, -1), row.overall, strict=True):
        share = 100 * count / sum(table.questions.values())
        yield f"all levels {'gained' if sign > 0 else 'lost'}", None, sign, share


class _Pair(NamedTuple):
    """Who solves what, by seed: 1 our arm alone, −1 theirs alone, 0 both or neither; and the levels."""

    difference: pd.DataFrame
    levels: pd.Series

    @classmethod
    def of(cls, samples: pd.DataFrame, ours: str, theirs: str, suite: str) -> _Pair:
        tables = [solved_by_seed(samples, arm, suite) for arm in (ours, theirs)]
        both, other = tables[0].align(tables[1], join="inner")
        if both.empty:
            return cls(both, pd.Series(dtype=object))
        asked = samples[samples["suite"] == suite].drop_duplicates("question").set_index("question")
        return cls(both - other, asked["level"].reindex(both.index))

    def shares(self, level: str | None, sign: int) -> tuple[float, ...]:
        """Return for each seed the percentage of a level's questions that one of the two solves alone."""
        rows = self.difference if level is None else self.difference[self.levels == level]
        return tuple((rows == sign).mean() * 100) if len(rows) else ()
