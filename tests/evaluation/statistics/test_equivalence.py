import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from evaluation.statistics.equivalence import equivalence_test
from evaluation.statistics.intervals import t_interval
from evaluation.statistics.scores import Score, paired_difference


def test_the_p_values_are_statsmodels():
    generator = np.random.default_rng(2)
    ours, theirs = generator.random((2, 1, 25))
    found = equivalence_test(paired_difference([ours], [theirs]), 0.15)
    p, lower, upper = ttost_paired(ours[0], theirs[0], -0.15, 0.15)
    assert (found.p, found.p_lower, found.p_upper) == pytest.approx((p, lower[1], upper[1]), rel=1e-10)


@pytest.mark.parametrize(
    ("mean", "error", "verdict"),
    [
        (0.05, 0.01, "different"),
        (0.001, 0.005, "equivalent"),
        (0.01, 0.003, "different and equivalent"),
        (0.01, 0.02, "undecided"),
        (-0.05, 0.01, "different"),
        (-0.01, 0.003, "different and equivalent"),
    ],
)
def test_the_four_textbook_cases(mean, error, verdict):
    assert equivalence_test(Score(mean, error, 99.0), 0.02).verdict == verdict


def test_the_degrees_of_freedom_count():
    # d = 0, margin = 3 SE: t(2) gives .048, t(1) gives .102.
    assert equivalence_test(Score(0.0, 1.0, 2.0), 3.0).p == pytest.approx(0.0477, abs=1e-4)
    assert equivalence_test(Score(0.0, 1.0, 1.0), 3.0).p == pytest.approx(
        math.atan(1 / 3) / math.pi, rel=1e-9
    )


@pytest.mark.parametrize("mean", [-0.019, -0.004, 0.0, 0.003, 0.0112, 0.05])
def test_equivalent_means_that_the_90_percent_interval_lies_within_the_margin(mean):
    score = Score(mean, 0.005, 17.0)
    interval = t_interval(score, 0.9)
    inside = interval.low > -0.02 and interval.high < 0.02
    assert ("equivalent" in equivalence_test(score, 0.02).verdict) == inside


@pytest.mark.parametrize("error", [0.0, math.nan])
def test_without_an_error_nothing_is_decided(error):
    found = equivalence_test(Score(0.0, error, math.nan), 0.02)
    assert found.verdict == "undecided"
    assert math.isnan(found.p)


@pytest.mark.parametrize("margin", [0.0, -0.01, math.nan, math.inf])
def test_a_margin_of_none_is_refused(margin):
    with pytest.raises(ValueError, match="margin"):
        equivalence_test(Score(0.0, 0.1, 9.0), margin)


def test_alpha_in_percent_is_refused():
    with pytest.raises(ValueError, match="alpha=5"):
        equivalence_test(Score(0.0, 0.1, 9.0), 0.1, 5)
