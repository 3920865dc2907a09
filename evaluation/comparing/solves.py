"""Exclusive solves of every pair, on the suites whose data tell the level of difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evaluation.comparing.metrics import solved
from evaluation.comparing.pairing import Pair
from evaluation.statistics.exclusive import ExclusiveSolves, exclusive_solves

UNTOLD = "untold"


class PairSolves(NamedTuple):
    """Exclusive solves of a pair on a suite; ours are the method's, theirs the baseline's."""

    pair: Pair
    suite: str
    found: ExclusiveSolves


def pair_solves(pairs: Sequence[Pair]) -> list[PairSolves]:
    """Return the exclusive solves by level of all suites that have levels."""
    return [
        PairSolves(pair, suite, _by_level(pair, suite, names))
        for pair in pairs
        for suite, names in pair.questions.items()
        if any(level is not None for level in _levels(pair, suite, names))
    ]


def _by_level(pair: Pair, suite: str, names: tuple[str, ...]) -> ExclusiveSolves:
    told = _levels(pair, suite, names)
    ours, theirs = solved(pair.method, suite, names), solved(pair.baseline, suite, names)
    if all(level is not None and level.isdecimal() for level in told):
        return exclusive_solves(ours, theirs, [int(level or 0) for level in told])
    return exclusive_solves(ours, theirs, [level or UNTOLD for level in told])


def _levels(pair: Pair, suite: str, names: tuple[str, ...]) -> list[str | None]:
    questions = pair.baseline.runs[0].answers[suite].questions
    return [questions[name].level for name in names]
