import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from evaluation.statistics.comparisons import bootstrap_interval, compare, mcnemar, sign_flip_p
from evaluation.statistics.intervals import t_interval
from evaluation.statistics.scores import paired_difference, two_sided_p

GENERATOR = np.random.default_rng(4)
OURS, THEIRS = GENERATOR.random((1, 12)), GENERATOR.random((1, 12))
MEDIAN = np.median(OURS)


def binary(only_ours, only_theirs, both=3, neither=4):
    ours = [1.0] * only_ours + [0.0] * only_theirs + [1.0] * both + [0.0] * neither
    theirs = [0.0] * only_ours + [1.0] * only_theirs + [1.0] * both + [0.0] * neither
    return np.array(ours), np.array(theirs)


def test_averages_are_compared_by_the_paired_t_test():
    found = compare([OURS], [THEIRS], 0.9)
    test = stats.ttest_rel(OURS[0], THEIRS[0])
    assert found.p == pytest.approx(test.pvalue, rel=1e-10)
    assert found.interval[:2] == pytest.approx(tuple(test.confidence_interval(0.9)), rel=1e-10)
    assert (found.test, found.interval.method, found.questions, found.seeds) == ("t", "t", 12, 1)
    assert (found.only_ours, found.only_theirs) == ((OURS > THEIRS).sum(), (OURS < THEIRS).sum())


def test_one_answer_a_question_is_compared_by_exact_mcnemar():
    ours, theirs = binary(43, 16, 200, 241)
    found = compare([ours[None]], [theirs[None]])
    assert found.test == "exact McNemar"
    assert found.p == pytest.approx(0.0006, abs=5e-5)
    assert (found.only_ours, found.only_theirs, found.questions) == (43, 16, 500)
    assert found.difference.mean == pytest.approx(27 / 500)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 0), (5, 5), (3, 9), (40, 21)])
def test_mcnemar_is_statsmodels(b, c):
    found = mcnemar(*binary(b, c))
    expected = statsmodels_mcnemar([[3, b], [c, 4]], exact=True).pvalue if b + c else 1.0
    assert found == (b, c, pytest.approx(expected, rel=1e-12))


@pytest.mark.parametrize("pairs", [1, 5, 6, 9, 17, 40, 100, 1000])
def test_mcnemar_never_sees_more_than_nominal_and_nearly_that_with_many_discordant(pairs):
    wins = np.arange(pairs + 1)
    seen = np.array([mcnemar(*binary(int(b), pairs - int(b))).p <= 0.05 for b in wins])
    error = stats.binom.pmf(wins, pairs, 0.5)[seen].sum()
    assert error <= 0.05
    assert pairs < 1000 or error >= 0.04


def test_seeds_and_suites_are_compared_by_the_crossed_error():
    ours, theirs = GENERATOR.integers(0, 2, (2, 3, 20)).astype(float)
    found = compare([ours, OURS.repeat(3, axis=0)], [theirs, THEIRS.repeat(3, axis=0)])
    difference = paired_difference([ours, OURS.repeat(3, axis=0)], [theirs, THEIRS.repeat(3, axis=0)])
    assert found.difference == difference
    assert found.interval == t_interval(difference)
    assert (found.p, found.test) == (two_sided_p(difference), "t")
    assert (found.questions, found.seeds) == (32, 3)


def test_questions_without_a_verdict_of_either_are_left_out():
    ours, theirs = OURS.copy(), THEIRS.copy()
    ours[0, 2], theirs[0, 5] = math.nan, math.nan
    kept = [i for i in range(12) if i not in (2, 5)]
    assert compare([ours], [theirs]) == compare([OURS[:, kept]], [THEIRS[:, kept]])
    first, second = binary(4, 1)
    first[0], second[-1] = math.nan, math.nan
    assert mcnemar(first, second)[:2] == (3, 1)


def test_equal_policies_have_no_error_and_no_interval():
    found = compare([OURS], [OURS])
    assert found.difference.mean == 0
    assert math.isnan(found.p)
    assert math.isnan(found.interval.low)
    assert math.isnan(bootstrap_interval([OURS - OURS]).low)


def test_other_questions_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 12\).*\(1, 11\)"):
        compare([OURS], [THEIRS[:, 1:]])
    with pytest.raises(ValueError, match="same questions"):
        mcnemar(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="0 or 1"):
        mcnemar(np.array([0.5]), np.array([1.0]))


def test_sign_flips_of_few_questions_are_all_taken():
    # Differences 1, 2, 3, −1 (tenths), sum 5. Of the 16 sign patterns of 1, 2, 3, 1 three have sums of 5 or
    # more (all up 7, one of the two 1s down 5), three −5 or less.
    ours, theirs = np.array([[0.1, 0.2, 0.3, 0.0]]), np.array([[0.0, 0.0, 0.0, 0.1]])
    assert sign_flip_p([ours], [theirs]) == pytest.approx(6 / 16)


def test_sign_flips_weigh_suites_equally():
    # Weighted differences .05 | .075, −.025, sum .1: |sum| ≥ .1 for .15, .1 and their mirrors of 8 patterns.
    first, second = np.array([[0.1]]), np.array([[0.3, -0.1]])
    assert sign_flip_p([first, second], [first * 0, second * 0]) == pytest.approx(4 / 8)
    second = np.array([[0.2, 0.2]])
    assert sign_flip_p([second, second], [second * 0, second * 0]) == pytest.approx(2 / 16)


def test_sign_flips_average_seeds_and_repeat_by_their_seed():
    ours = OURS + np.array([[0.1], [-0.1]])
    once = sign_flip_p([OURS], [THEIRS], resamples=500)
    assert sign_flip_p([ours], [THEIRS.repeat(2, axis=0)], resamples=500) == pytest.approx(once)
    assert sign_flip_p([OURS], [THEIRS], resamples=500, seed=1) != once


def test_the_bootstrap_of_even_data_agrees_with_t():
    # Without skewness and with many questions the two are the same up to the resampling.
    values = stats.norm.ppf((np.arange(400) + 0.5) / 400)[None] / 10
    interval, t = bootstrap_interval([values]), t_interval(paired_difference([values], [values * 0]))
    assert interval[:2] == pytest.approx(t[:2], abs=4e-4)
    assert interval.method == "bootstrap"


def test_the_bootstrap_resamples_within_suites_of_equal_weight():
    small, large = OURS, GENERATOR.random((1, 300))
    interval = bootstrap_interval([small, large])
    t = t_interval(paired_difference([small, large], [small * 0, large * 0]))
    assert interval[:2] == pytest.approx(t[:2], abs=0.02)
    constant = np.full((1, 40), 0.5)
    alone, both = bootstrap_interval([small]), bootstrap_interval([small, constant])
    assert both.high - both.low == pytest.approx((alone.high - alone.low) / 2, rel=0.05)


def test_the_bootstrap_keeps_a_questions_seeds_together():
    seeds = OURS + np.array([[0.1], [-0.1]])
    assert bootstrap_interval([seeds])[:2] == pytest.approx(bootstrap_interval([OURS])[:2])
    assert bootstrap_interval([OURS], seed=1) != bootstrap_interval([OURS])
