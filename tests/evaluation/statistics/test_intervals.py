import math

import numpy as np
import pytest
from scipy import stats

from evaluation.statistics.intervals import (
    effective_wilson_interval,
    score_interval,
    t_interval,
    wilson_interval,
)
from evaluation.statistics.scores import Score, mean_score


def test_t_interval_is_scipys():
    values = np.array([0.1, 0.4, 0.35, 0.8, 0.6])
    interval = t_interval(mean_score([values[None]]), 0.9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert interval[:2] == pytest.approx(tuple(expected), rel=1e-12)
    assert (interval.level, interval.method) == (0.9, "t")


def test_t_interval_uses_the_scores_own_degrees_of_freedom():
    # t with 1 degree of freedom: 97.5 % quantile 12.706.
    assert t_interval(Score(0.0, 1.0, 1.0)).high == pytest.approx(12.7062, rel=1e-5)


def test_wilson_by_hand():
    # p = 8/10, z² = 3.841459: center (.8 + .192073)/1.3841459, half 1.959964 √(.016 + .009604)/1.3841459.
    interval = wilson_interval(8, 10)
    assert interval.low == pytest.approx(0.716743 - 0.226585, abs=2e-5)
    assert interval.high == pytest.approx(0.716743 + 0.226585, abs=2e-5)


@pytest.mark.parametrize(("solved", "questions"), [(3, 2), (-1, 2), (0, 0)])
def test_impossible_counts_are_refused_by_name(solved, questions):
    with pytest.raises(ValueError, match=f"solved={solved} of questions={questions}"):
        wilson_interval(solved, questions)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_in_percent_is_refused(level):
    for make in (
        lambda: t_interval(Score(0.5, 0.1, 9.0), level),
        lambda: wilson_interval(1, 2, level),
        lambda: score_interval([np.array([[0.5, 1.0]])], level),
    ):
        with pytest.raises(ValueError, match=f"level={level}"):
            make()


def test_one_answer_a_question_gets_wilsons_interval():
    suite = np.array([[1.0] * 12 + [0.0] * 8 + [math.nan]])
    assert score_interval([suite]) == wilson_interval(12, 20)


def test_averages_get_the_t_interval():
    suite = np.array([[0.25, 0.5, 0.75, 0.5, 0.4, 0.3]])
    assert score_interval([suite]) == t_interval(mean_score([suite]))


def test_averages_near_an_end_get_the_effective_wilson_interval_which_stays_inside():
    suite = np.array([[0.0] * 25 + [0.25, 0.125, 0.5, 0.75, 0.25]])
    interval = score_interval([suite])
    assert interval == effective_wilson_interval(mean_score([suite]), 30)
    assert interval.method == "effective Wilson"
    assert 0 < interval.low < suite.mean() < interval.high < 1


def test_effective_wilson_of_0_1_answers_is_nearly_wilsons():
    # SE² = p(1 − p)/(n − 1), so that n* = n − 1; and t for z.
    suite = np.array([[1.0] * 600 + [0.0] * 1400])
    effective = effective_wilson_interval(mean_score([suite]), 2000)
    assert effective[:2] == pytest.approx(wilson_interval(600, 2000)[:2], abs=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_scores_at_an_end_still_have_an_interval(value):
    interval = score_interval([np.full((1, 30), value)])
    assert interval.high - interval.low == pytest.approx(0.1135, abs=1e-3)
    several = effective_wilson_interval(Score(value, 0.0, math.nan), 30)
    assert several[:2] == interval[:2]


def test_several_seeds_or_suites_get_the_t_interval_cut_to_the_scale():
    binary = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    assert score_interval([binary]).method == "t"
    assert score_interval([binary]).high == 1.0
    assert t_interval(mean_score([binary])).high > 1.0
    assert score_interval([binary[:1], binary[:1]]).method == "t"


def test_what_cannot_be_estimated_is_nan():
    assert all(math.isnan(end) for end in score_interval([np.empty((1, 0))])[:2])
    assert all(math.isnan(end) for end in score_interval([np.full((1, 5), 0.5)])[:2])
    assert all(math.isnan(end) for end in t_interval(Score(0.5, math.nan, math.nan))[:2])


def test_what_is_no_score_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"-0\.5.*t_interval\(paired_difference"):
        score_interval([np.array([[0.5, -0.5]])])
    with pytest.raises(ValueError, match=r"\(1, 2, 3\).*average its samples"):
        score_interval([np.ones((1, 2, 3))])


@pytest.mark.parametrize(("questions", "rate"), [(500, 1 / 3), (500, 0.9), (198, 0.3), (1172, 0.8)])
def test_wilson_covers_the_truth_exactly_computed(questions, rate):
    solved = np.arange(questions + 1)
    intervals = [wilson_interval(int(count), questions) for count in solved]
    holds = [interval.low <= rate <= interval.high for interval in intervals]
    assert 0.94 <= stats.binom.pmf(solved, questions, rate)[holds].sum() <= 0.96


def test_wilson_covers_small_suites_on_average_over_solve_rates():
    intervals = [wilson_interval(count, 30) for count in range(31)]
    rates = np.linspace(0.02, 0.98, 193)
    covered = sum(
        stats.binom.pmf(count, 30, rates) * ((interval.low <= rates) & (rates <= interval.high))
        for count, interval in enumerate(intervals)
    )
    assert 0.94 <= covered.mean() <= 0.96
