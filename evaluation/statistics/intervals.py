"""Confidence intervals of scores, all in the score's own unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.statistics.scores import Array, Score, answered, mean_score

# Nearer to an end of the scale than so many standard errors, t misses often; further away it is the better.
CLEARANCE = 3.5


class Interval(NamedTuple):
    """A confidence interval.

    Args:
        low: Its lower end; NaN when it cannot be estimated.
        high: Its upper end, likewise.
        level: The share of repeated evaluations in which such an interval holds the truth, such as 0.95.
        method: How it was made: "t", "Wilson", "effective Wilson" or "bootstrap".
    """

    low: float
    high: float
    level: float
    method: str


def check_level(level: float) -> None:
    """Refuse a confidence level that is no share."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not between 0 and 1; a 95 % interval has level=0.95")


def t_interval(score: Score, level: float = 0.95) -> Interval:
    """Return the interval of a mean, or of a difference, by Student's t.

        mean ± t_{df, (1 + level)/2} · SE

    with the score's own degrees of freedom. NaN where no error could be estimated: one question, or questions
    that all scored the same.

    See The Probable Error of a Mean, Student, 1908; for the question-clustered SE, Adding Error Bars to
    Evals, Miller, 2024 (https://arxiv.org/abs/2411.00640).
    """
    check_level(level)
    if not score.standard_error > 0:
        return Interval(math.nan, math.nan, level, "t")
    half = float(stats.t.ppf((1 + level) / 2, score.degrees)) * score.standard_error
    return Interval(score.mean - half, score.mean + half, level, "t")


def wilson_interval(solved: int, questions: int, level: float = 0.95) -> Interval:
    """Return Wilson's interval of a share: `solved` of `questions`, one answer each.

        (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)        p = solved / questions, n = questions

    See Probable Inference, the Law of Succession, and Statistical Inference, Wilson, 1927; Interval
    Estimation for a Binomial Proportion, Brown, Cai and DasGupta, 2001
    (https://doi.org/10.1214/ss/1009213286).

    Raises:
        ValueError: There is no question, or more are solved than there are.
    """
    check_level(level)
    if not 0 <= solved <= questions or questions < 1:
        raise ValueError(f"solved={solved} of questions={questions}: 0 ≤ solved ≤ questions ≥ 1 must hold")
    low, high = stats.binomtest(solved, questions).proportion_ci(level, method="wilson")
    return Interval(float(low), float(high), level, "Wilson")


def effective_wilson_interval(score: Score, questions: int, level: float = 0.95) -> Interval:
    """Return Wilson's interval of a mean of one seed in [0, 1], with an effective number of questions.

        n* = m (1 − m) / SE²        Wilson's interval with p = m, n = n*, z = t_{df, (1 + level)/2}

    n* is how many 0/1 answers would have this standard error. Like Wilson's interval, and unlike m ± t·SE, it
    is pulled away from 0 and 1, where few questions seldom show the rare ones that differ.

    See Evaluating Confidence Interval Methods for Binomial Proportions in Clustered Surveys, Dean and Pagano,
    2015 (https://doi.org/10.1093/jssam/smv024).
    Differs from the paper: where every score is 0, or 1, SE is 0 and n* is the number of questions, as small
    as it can be for scores in [0, 1].
    """
    check_level(level)
    mean = score.mean
    if mean in (0.0, 1.0):
        return wilson_interval(round(mean * questions), questions, level)._replace(method="effective Wilson")
    if not score.standard_error > 0:
        return Interval(math.nan, math.nan, level, "effective Wilson")
    z = float(stats.t.ppf((1 + level) / 2, score.degrees))
    size = mean * (1 - mean) / score.standard_error**2
    center = (mean + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * math.sqrt(mean * (1 - mean) / size + z**2 / (4 * size**2))
    return Interval(center - half, center + half, level, "effective Wilson")


def score_interval(suites: Sequence[Array], level: float = 0.95) -> Interval:
    """Return a confidence interval of the mean over suites, by the method that suits the data.

    Wilson's where there is one suite and one seed and every score is 0 or 1, as with one sample a question;
    for other scores of one suite and one seed, t while the mean is 3.5 standard errors or more from both 0
    and 1 and effective Wilson nearer to them; t for several seeds or suites. Ends are cut to [0, 1].

    The population is that of questions like these and, with several seeds, of trainings like these.

    Args:
        suites: Scores in [0, 1] such as avg@k, pass@k or maj@k, one array (seed, question) a suite; NaN for
            what has no verdict.
        level: See `Interval`.
    """
    check_level(level)
    arrays = [np.asarray(suite, dtype=np.float64) for suite in suites]
    for array in arrays:
        _check_scores(array)
    score = mean_score(arrays)
    if len(arrays) == 1 and len(arrays[0]) == 1 and not math.isnan(score.mean):
        values = answered(arrays[0])[0]
        if np.isin(values, (0.0, 1.0)).all():
            return wilson_interval(round(float(values.sum())), len(values), level)
        clearance = min(score.mean, 1 - score.mean)
        if clearance < CLEARANCE * score.standard_error:
            return effective_wilson_interval(score, len(values), level)
    interval = t_interval(score, level)
    return interval._replace(low=_cut(interval.low), high=_cut(interval.high))


def _check_scores(array: Array) -> None:
    if array.ndim != 2:
        raise ValueError(f"a suite has shape {array.shape}, not (seed, question); average its samples first")
    outside = array[(array < 0) | (array > 1)]
    if outside.size:
        raise ValueError(
            f"a score is {outside[0]}, outside [0, 1]; for differences use t_interval(paired_difference(...))"
        )


def _cut(end: float) -> float:
    return min(max(end, 0.0), 1.0) if not math.isnan(end) else end
