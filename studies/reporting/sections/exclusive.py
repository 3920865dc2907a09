"""Exclusive solves of every pair of arms, by level: questions that one solves and the other does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from evaluation.statistics.exclusive import ExclusiveRow, ExclusiveSolves, exclusive_solves
from studies.reporting.cells import p_value
from studies.reporting.parts import NOTHING, Context, Part, Section
from studies.reporting.records import Records
from studies.reporting.solved import solved, state_of
from studies.reporting.summaries import samples_of

UNTOLD = "untold"


class _Pair(NamedTuple):
    """Two arms; what they solve alone is counted over the seeds that both have finished."""

    ours: str
    theirs: str
    seeds: tuple[int, ...]
    found: ExclusiveSolves | None


def part(context: Context) -> Part:
    """Return the table; nothing where fewer than two arms can be paired."""
    records = context.records
    suites = _suites(context)
    pairs = [_pair(records, ours, theirs, suites) for theirs, ours in _paired(records)]
    if not pairs:
        return Part()
    rows = [row for pair in pairs for row in _rows(records, pair)]
    data = pd.DataFrame([row for pair in pairs for row in _numbers(pair)])
    cells = pd.DataFrame(rows).fillna(NOTHING)
    heading = "Exclusive solves by level"
    told = list(_notes(records, pairs, suites))
    return Part([Section("exclusive", heading, cells, told, data=data if len(data) else None)])


def _paired(records: Records) -> Iterator[tuple[str, str]]:
    """Yield each two arms of one scale, the one that comes first in the study first."""
    study = records.study
    for first, second in itertools.combinations(study.arms, 2):
        if study.runs[first]["scale"] == study.runs[second]["scale"]:
            yield first, second


def _suites(context: Context) -> list[str]:
    """Return the suites whose questions are counted: those with levels, in distribution where any is."""
    samples, sides = context.records.samples, context.distributions
    if samples.empty:
        return []
    leveled = set(samples.loc[samples["level"].notna(), "suite"].unique())
    named = [suite for suite in context.records.study.suites if suite in leveled]
    inside = [suite for suite in named if sides.get(suite) == "in_distribution"]
    return inside or named


def _pair(records: Records, ours: str, theirs: str, suites: Sequence[str]) -> _Pair:
    samples = records.samples
    if samples.empty:
        return _Pair(ours, theirs, (), None)
    samples = samples[samples["suite"].isin(suites)]
    seeds = [set(samples.loc[samples["arm"] == arm, "seed"]) for arm in (ours, theirs)]
    common = tuple(sorted(seeds[0] & seeds[1]))
    first, second = (solved(samples, arm, common) for arm in (ours, theirs))
    first, second = first.align(second, join="inner")
    if first.empty:
        return _Pair(ours, theirs, common, None)
    asked = samples.drop_duplicates(["suite", "question"]).set_index(["suite", "question"])["level"]
    levels = asked.astype(object).reindex(first.index).fillna(UNTOLD).astype(str).tolist()
    # Numbers in the order of numbers, as far as all are.
    numbers = all(level.isdecimal() for level in levels)
    keys: Any = [int(level) for level in levels] if numbers else levels
    found = exclusive_solves(first.to_numpy(), second.to_numpy(), keys)
    return _Pair(ours, theirs, common, found)


def _rows(records: Records, pair: _Pair) -> Iterator[dict[str, str]]:
    shared = {"arm": pair.ours, "baseline": pair.theirs}
    if pair.found is None:
        states = [f"{arm} {state}" for arm in pair[:2] if (state := state_of(records, arm))]
        yield shared | {"status": ", ".join(states) or "no common seed, or no suite with levels"}
        return
    for row in [*pair.found.levels, pair.found.overall]:
        overall = row.level is None
        yield shared | {
            "level": "all" if overall else str(row.level),
            "questions": f"{row.questions:,}",
            "gained / lost": counts(row),
            "p": p_value(row.p),
            "p (Holm)": NOTHING if overall else p_value(row.p_holm),
        }


def counts(row: ExclusiveRow) -> str:
    """Return "+58/−15 (11.6 % / 3.0 %)": what ours alone solves, what theirs alone does, in shares too."""
    numbers = f"+{row.only_ours}/−{row.only_theirs}"
    if not row.questions:
        return numbers
    shares = (f"{100 * count / row.questions:.1f} %" for count in (row.only_ours, row.only_theirs))
    return f"{numbers} ({' / '.join(shares)})"


def _numbers(pair: _Pair) -> Iterator[dict[str, Any]]:
    if pair.found is None:
        return
    for row in [*pair.found.levels, pair.found.overall]:
        values = row._asdict() | {"level": "all" if row.level is None else str(row.level)}
        differ = pair.found.p_levels_differ if row.level is None else None
        yield {"arm": pair.ours, "baseline": pair.theirs} | values | {"p_levels_differ": differ}


def _notes(records: Records, pairs: Sequence[_Pair], suites: Sequence[str]) -> Iterator[str]:
    yield (
        f"Questions of {', '.join(suites) or 'no suite: none tells levels'}. +: solved by the arm and not by "
        "the baseline; −: the other way round."
    )
    study = records.study
    asked = {
        count * len(pair.seeds)
        for pair in pairs
        for suite in suites
        for arm in pair[:2]
        for count in [samples_of(study.runs[arm]["evaluation"], suite)]
    }
    if asked and max(asked) > 1:
        yield (
            "A question is solved if more than half of its answers with a verdict are correct, those of all "
            f"seeds that both arms have finished together ({_range(asked)} answers); a tie is not solved."
        )
    elif asked:
        yield "A question has one answer, which is correct or not."
    yield "p: McNemar's exact test of the two numbers; corrected by Holm's method over the levels of a pair."
    for pair in pairs:
        if pair.found is not None:
            p = p_value(pair.found.p_levels_differ)
            yield f"{pair.ours} against {pair.theirs}: p {p} of the same share gained at every level."
    yield (
        "That one level's p is small and another's is not does not mean that they differ; the p of the same "
        "share (Fisher, Freeman and Halton's exact test) tests that. n/a: fewer than two levels have any."
    )


def _range(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
