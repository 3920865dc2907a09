"""Whether a published number, which is one run's, is one that runs of ours could have come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

Verdict = Literal["reproduced", "contradicted", "underpowered", "not comparable"]

LEVEL = 0.95
"""Of the interval that a published number must be outside of to be contradicted."""


class Judged(NamedTuple):
    """A published number beside runs of ours, all in points.

    Args:
        runs: Of ours.
        mean: Of them.
        error: Standard error of the mean, between runs; NaN with fewer than two.
        difference: Ours − published.
        low: Lower end of the difference's 95 % interval; NaN where nothing can be estimated.
        high: Its upper end.
        inner_low: Lower end of its 90 % interval, which is held against the margin.
        inner_high: Its upper end.
        verdict: What the intervals say.
    """

    runs: int
    mean: float
    error: float
    difference: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    verdict: Verdict


def judge(ours: Sequence[float], published: float, margin: float, digit: float = 0.0) -> Judged:
    """Compare runs of ours with one published run on the same questions.

        d = ȳ − y*,   SE² = s² (1 + 1/n),   d ± t_{n−1, (1 + level)/2} · SE       y_1 … y_n ours, y* published

    with s the standard deviation of our runs: questions are the same, so what is left to chance is the run,
    and the published run is taken to vary as ours do. Read about y* it is the prediction interval of one more
    run; read about d, the interval of the difference of the two methods' expected scores. Both ends are moved
    outwards by half of the published number's last digit, which was rounded off.

    Contradicted: the 95 % interval does not hold 0; a method that is the same in truth is so in 5 % of such
    studies. Reproduced: it holds 0 and the 90 % interval lies within ± margin, which is two one-sided tests
    at 5 % each. Underpowered: neither; or fewer than two runs, or runs without any spread to judge by.

    See Statistical Intervals, Meeker, Hahn and Escobar, 2017, for one more observation; for the tests against
    a margin, A Comparison of the Two One-Sided Tests Procedure ..., Schuirmann, 1987.

    Args:
        ours: A number for each run.
        published: The number that was printed.
        margin: The largest difference that counts as none.
        digit: The last one printed; 0 where the number is exact.
    """
    values = np.asarray(ours, dtype=np.float64)
    count = len(values)
    mean = float(values.mean()) if count else math.nan
    spread = float(values.std(ddof=1)) if count > 1 else math.nan
    difference, unknown = mean - published, math.nan
    if not spread > 1e-9:
        error = spread / math.sqrt(count) if count > 1 else math.nan
        return Judged(count, mean, error, difference, unknown, unknown, unknown, unknown, "underpowered")
    error = spread * math.sqrt(1 + 1 / count)
    outer, inner = (_quantile(share, count - 1) * error + digit / 2 for share in ((1 + LEVEL) / 2, LEVEL))
    verdict: Verdict = "underpowered"
    if abs(difference) > outer:
        verdict = "contradicted"
    elif abs(difference) + inner <= margin:
        verdict = "reproduced"
    return Judged(
        count,
        mean,
        spread / math.sqrt(count),
        difference,
        difference - outer,
        difference + outer,
        difference - inner,
        difference + inner,
        verdict,
    )


@cache
def _quantile(share: float, degrees: int) -> float:
    return float(stats.t.ppf(share, degrees))
