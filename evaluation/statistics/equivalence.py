"""Whether a difference is small enough to be called none."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from scipy import stats

from evaluation.statistics.scores import Score, two_sided_p

Verdict = Literal["different", "equivalent", "different and equivalent", "undecided"]


class Equivalence(NamedTuple):
    """Two one-sided tests of a difference against a margin, beside the two-sided test against zero.

    Args:
        margin: The largest difference that is of no interest, in the score's unit.
        p_lower: One-sided, of "difference ≤ −margin".
        p_upper: One-sided, of "difference ≥ margin".
        p: The larger of the two: of "not equivalent". All p are NaN where no error can be estimated.
        p_different: Two-sided, of "no difference".
        verdict: At the level α that was asked for, "different" if p_different ≤ α, "equivalent" if p ≤ α,
            both (a difference that is certain and does not matter) or "undecided": more data are needed.
    """

    margin: float
    p_lower: float
    p_upper: float
    p: float
    p_different: float
    verdict: Verdict


def equivalence_test(difference: Score, margin: float, alpha: float = 0.05) -> Equivalence:
    """Test whether a difference lies within ±margin.

        p_lower = P(T ≥ (d + margin)/SE),   p_upper = P(T ≤ (d − margin)/SE),   T ~ t with the score's degrees

    Equivalent at level α exactly if the 1 − 2α interval d ± t·SE lies within ±margin. That a test finds no
    difference is no evidence of equivalence. The margin is chosen before the data are seen.

    See A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the Equivalence
    of Average Bioavailability, Schuirmann, 1987; Equivalence Tests, Lakens, 2017
    (https://doi.org/10.1177/1948550617697177), for the four verdicts.

    Args:
        difference: Such as `paired_difference` gives.
        margin: In the score's unit: 0.01 is one point of scores in [0, 1].
        alpha: Level of each test.

    Raises:
        ValueError: The margin is not above 0, or α is no probability.
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin={margin} must be above 0: a difference of exactly none can't be shown")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} is not between 0 and 1")
    error = difference.standard_error
    if not error > 0:
        return Equivalence(margin, math.nan, math.nan, math.nan, math.nan, "undecided")
    lower = float(stats.t.sf((difference.mean + margin) / error, difference.degrees))
    upper = float(stats.t.cdf((difference.mean - margin) / error, difference.degrees))
    p, different = max(lower, upper), two_sided_p(difference)
    return Equivalence(margin, lower, upper, p, different, _verdict(different <= alpha, p <= alpha))


def _verdict(different: bool, equivalent: bool) -> Verdict:
    if equivalent:
        return "different and equivalent" if different else "equivalent"
    return "different" if different else "undecided"
