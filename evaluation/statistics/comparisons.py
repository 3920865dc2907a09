"""Two policies on the same questions: the difference, its interval and its tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.statistics.intervals import Interval, check_level, t_interval
from evaluation.statistics.scores import ROUNDING, Array, Score, answered, mean_score, two_sided_p


class Discordant(NamedTuple):
    """How many questions only one of two policies solves, and the exact McNemar test of these two numbers."""

    only_ours: int
    only_theirs: int
    p: float


class Comparison(NamedTuple):
    """What is known of the difference between two policies that answered the same questions.

    Args:
        difference: Ours − theirs in the score's unit, with its standard error and degrees of freedom.
        interval: Of the difference, with its method.
        p: Two-sided, of "no difference"; not corrected for other comparisons (`holm` does that).
        test: The name of p's test: "t" or "exact McNemar".
        questions: How many questions both have a score for, over all suites.
        seeds: Training seeds of each policy. With one, it is two checkpoints that are compared, not two
            methods.
        only_ours: Questions on which ours scores higher, averaged over seeds.
        only_theirs: Questions on which theirs does.
    """

    difference: Score
    interval: Interval
    p: float
    test: str
    questions: int
    seeds: int
    only_ours: int
    only_theirs: int


def compare(ours: Sequence[Array], theirs: Sequence[Array], level: float = 0.95) -> Comparison:
    """Compare two policies by the paired difference of their scores, suites having equal weight.

    The error is `paired_difference`'s: clustered by question and, with several seeds, by seed. The interval
    is Student's t. The test is exact McNemar's where there is one suite, one seed and every score is 0 or 1,
    as with one sample a question; else Student's t. Questions that either has no score for are left out.

    Args:
        ours: One array (seed, question) a suite: avg@k, pass@k or maj@k.
        theirs: Likewise; suites, seeds and questions in the same order.
        level: See `Interval`.
    """
    differences = _differences(ours, theirs)
    difference = mean_score(differences)
    by_question = [_of_questions(suite) for suite in differences]
    rounded = np.concatenate([np.where(np.abs(each) < ROUNDING, 0.0, each) for each in by_question])
    p, test = two_sided_p(difference), "t"
    if len(differences) == 1 and len(differences[0]) == 1 and _is_binary(ours[0]) and _is_binary(theirs[0]):
        p, test = mcnemar(ours[0][0], theirs[0][0]).p, "exact McNemar"
    return Comparison(
        difference,
        t_interval(difference, level),
        p,
        test,
        questions=len(rounded),
        seeds=len(differences[0]),
        only_ours=int((rounded > 0).sum()),
        only_theirs=int((rounded < 0).sum()),
    )


def mcnemar(ours: Array, theirs: Array) -> Discordant:
    """Test whether two policies solve equally many questions, from 0/1 for each question.

        p = min(1, 2 P(X ≤ min(b, c))),   X ~ Binomial(b + c, 1/2)

    b questions are solved by ours only, c by theirs only; those that both or neither solve say nothing.
    Exact, hence conservative: false alarms are rarer than p says, more so the fewer discordant questions
    there are.

    See Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages, McNemar,
    1947.

    Args:
        ours: 1 solved, 0 not, NaN no verdict (the question is left out).
        theirs: Likewise, the same questions.

    Raises:
        ValueError: Lengths differ, or a value is neither 0, 1 nor NaN.
    """
    first, second = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"shapes {first.shape} and {second.shape} are not those of the same questions")
    if not (_is_binary(first) and _is_binary(second)):
        raise ValueError(
            "McNemar's test needs 0 or 1 for each question; use compare for averages over samples"
        )
    only_ours = int(((first == 1) & (second == 0)).sum())
    only_theirs = int(((first == 0) & (second == 1)).sum())
    tail = float(stats.binom.cdf(min(only_ours, only_theirs), only_ours + only_theirs, 0.5))
    return Discordant(only_ours, only_theirs, min(1.0, 2 * tail))


def sign_flip_p(
    ours: Sequence[Array], theirs: Sequence[Array], *, resamples: int = 9999, seed: int = 0
) -> float:
    """Return the two-sided p of "no difference" by flipping the signs of questions' differences.

    If the two policies are alike, swapping their scores on any question changes nothing; p is the share of
    swaps whose difference is at least as large as the observed one. All 2^n swaps are taken if these are not
    more than `resamples`, else so many random ones. No normality is assumed. Seeds are averaged first, so
    that it is about these checkpoints on new questions; use `compare` where trainings are compared.

    See The Design of Experiments, Fisher, 1935, sec. 21; scipy.stats.permutation_test does it.
    """
    differences = _differences(ours, theirs)
    parts = [_of_questions(suite) for suite in differences]
    weighted = np.concatenate([part / (len(parts) * len(part)) for part in parts])
    weighted[np.abs(weighted) < ROUNDING] = 0.0
    result = stats.permutation_test(
        (weighted,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def bootstrap_interval(
    suites: Sequence[Array], level: float = 0.95, *, resamples: int = 9999, seed: int = 0
) -> Interval:
    """Return the interval of a mean, or of a difference, by resampling questions within each suite.

    Questions are the clusters (all samples and seeds of one stay together) and suites the strata. Ends are
    quantiles of the resampled means, at levels that make up for what a bootstrap of few questions misses:

        α' = Φ(−t_{df, (1 + level)/2} · SE / SE_boot),     SE_boot² = Σ_b (Q_b − 1)/Q_b · SE_b²

    so that the spread is divided by Q − 1 and the tail is t's (with one suite SE/SE_boot = √(Q/(Q − 1))). At
    30 questions plain percentile and BCa intervals are too short; docs/statistics.md has the coverage of
    each. Seeds are averaged first: it is about these checkpoints on new questions.

    See What Teachers Should Know About the Bootstrap, Hesterberg, 2015 (https://arxiv.org/abs/1411.5279), on
    the expanded percentile interval; scipy.stats.bootstrap resamples.

    Args:
        suites: One array (seed, question) a suite, of scores or of differences ours − theirs.
        level: See `Interval`.
        resamples: How often.
        seed: Of the resampling; the same seed gives the same interval.
    """
    check_level(level)
    parts = [_of_questions(np.asarray(suite, dtype=np.float64)) for suite in suites]
    score = mean_score([part[None] for part in parts])
    if not score.standard_error > 0:
        return Interval(math.nan, math.nan, level, "bootstrap")
    spread = math.sqrt(sum(float(part.var()) / len(part) for part in parts)) / len(parts)
    quantile = float(stats.t.ppf((1 + level) / 2, score.degrees))
    tail = float(stats.norm.cdf(-quantile * score.standard_error / spread))
    result = stats.bootstrap(
        parts,
        lambda *drawn, axis: sum(each.mean(axis=axis) for each in drawn) / len(drawn),
        n_resamples=resamples,
        vectorized=True,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(result.low), float(result.high), level, "bootstrap")


def _differences(ours: Sequence[Array], theirs: Sequence[Array]) -> list[Array]:
    pairs = list(zip(ours, theirs, strict=True))
    for first, second in pairs:
        if first.shape != second.shape or first.ndim != 2:
            raise ValueError(f"shapes {first.shape} and {second.shape} are not one (seed, question)")
    return [first - second for first, second in pairs]


def _of_questions(suite: Array) -> Array:
    """Return the mean over seeds of each question that all seeds have a score for."""
    return np.asarray(answered(suite).mean(axis=0))


def _is_binary(values: Array) -> bool:
    return bool(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all())
