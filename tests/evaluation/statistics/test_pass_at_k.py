import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from evaluation.statistics.pass_at_k import count_solved, pass_at_k, pass_at_k_score, pass_hat_k
from evaluation.statistics.scores import mean_score


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_pass_at_k_and_hat_k_equal_the_enumeration_of_all_draws(n):
    for c in range(n + 1):
        answers = [True] * c + [False] * (n - c)
        for k in range(1, n + 1):
            draws = list(combinations(answers, k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-14)
            assert pass_hat_k(n, c, k) == pytest.approx(sum(map(all, draws)) / len(draws), abs=1e-14)


@pytest.mark.parametrize("k", [1, 2, 64, 1000, 1024, 2047, 2048])
def test_thousands_of_samples_lose_no_digits(k):
    n, c = 2048, np.array([0, 1, 2, 17, 500, 1023, 1024, 1025, 2047, 2048])
    exact = [float(1 - Fraction(math.comb(n - each, k), math.comb(n, k))) for each in c.tolist()]
    np.testing.assert_allclose(pass_at_k(np.full(10, n), c, k), exact, rtol=1e-12, atol=0)


def test_numbers_of_samples_may_differ_and_arrays_keep_their_shape():
    samples, correct = np.array([[4, 8], [16, 4]]), np.array([[1, 0], [16, 2]])
    # 1 − C(3,2)/C(4,2) = 1/2; none; all; 1 − C(2,2)/C(4,2) = 5/6.
    np.testing.assert_allclose(pass_at_k(samples, correct, 2), [[0.5, 0], [1, 5 / 6]], rtol=1e-14)


def test_k_1_is_the_average():
    np.testing.assert_allclose(pass_at_k([32, 32], [7, 0], 1), [7 / 32, 0], rtol=1e-14)


def test_it_is_unbiased_where_the_plug_in_is_not():
    # Over all outcomes of 8 samples with p = .25: E = 1 − .75⁴.
    counts = np.arange(9)
    weights = np.array([math.comb(8, c) * 0.25**c * 0.75 ** (8 - c) for c in counts])
    assert weights @ pass_at_k(np.full(9, 8), counts, 4) == pytest.approx(1 - 0.75**4, rel=1e-13)
    assert weights @ (1 - (1 - counts / 8) ** 4) < 1 - 0.75**4 - 0.03


def test_more_draws_than_samples_are_refused_naming_both():
    with pytest.raises(ValueError, match=r"k=16 is more than the 8 samples of question 1.*k ≤ 8"):
        pass_at_k([32, 8, 9], [1, 1, 1], 16)
    with pytest.raises(ValueError, match="k=16"):
        pass_hat_k([8], [1], 16)


@pytest.mark.parametrize(
    ("samples", "correct", "k", "text"),
    [
        ([4], [5], 1, "5 correct of 4"),
        ([4], [-1], 1, "-1 correct"),
        ([4], [1], 0, "k=0"),
        ([4], [0.5], 1, "whole"),
    ],
)
def test_impossible_counts_are_refused(samples, correct, k, text):
    with pytest.raises(ValueError, match=text):
        pass_at_k(samples, correct, k)


def test_the_score_is_clustered_by_question():
    values = pass_at_k([8, 8, 8], [0, 2, 8], 4)
    score = pass_at_k_score([8, 8, 8], [0, 2, 8], 4)
    assert score == mean_score([values[None]])
    assert score.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(3), rel=1e-12)


def test_solved_samples_are_counted_without_those_that_have_no_verdict():
    earned = np.array([[[1.0, 0.0, math.nan], [1.0, 1.0, 1.0]]])
    found = count_solved(earned)
    np.testing.assert_array_equal(found.samples, [[2, 3]])
    np.testing.assert_array_equal(found.correct, [[1, 3]])
    with pytest.raises(ValueError, match=r"0\.5"):
        count_solved(np.array([0.5, 1.0]))
