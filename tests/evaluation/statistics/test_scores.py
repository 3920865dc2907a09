import math

import numpy as np
import pytest
from scipy import stats

from evaluation.statistics.scores import average_at_k, holm, mean_score, paired_difference, two_sided_p


def test_average_at_k_is_the_mean_over_the_samples_that_have_a_verdict():
    earned = np.array([[1.0, 0.0, 0.0, 1.0], [1.0, math.nan, math.nan, 0.0], [math.nan] * 4])
    np.testing.assert_array_equal(average_at_k(earned), [0.5, 0.5, math.nan])


def test_one_seed_has_the_question_clustered_error():
    # Means 1, 0.5, 0: sd 0.5, so SE = 0.5/√3, with 2 degrees of freedom.
    score = mean_score([np.array([[1.0, 0.5, 0.0]])])
    assert score.mean == 0.5
    assert score.standard_error == pytest.approx(0.5 / math.sqrt(3), rel=1e-12)
    assert score.degrees == pytest.approx(2)


def test_two_seeds_by_hand():
    # Seed means .75, .5; question means 1, .5, .375; grand mean .625. The rest is ±.125, ±.125, 0 by row:
    # V_question = var(1, .5, .375)/3 = .109375/3 = .0364583; V_seed = var(.75, .5)/2 = .03125/2 = .015625.
    # Rest: rows minus both effects are (-.125, -.125, .25) and (.125, .125, -.25); squares sum to .1875,
    # over (1)(2)(2·3): V_rest = .015625. V_seed is not above V_rest, so seeds add nothing.
    suite = np.array([[1.0, 0.5, 0.75], [1.0, 0.5, 0.0]])
    score = mean_score([suite])
    assert score.mean == 0.625
    assert score.standard_error == pytest.approx(math.sqrt(0.109375 / 3), rel=1e-12)
    assert score.degrees == pytest.approx(2)


def test_a_difference_between_seeds_widens_the_error_by_its_own_variance():
    # All of a row is shifted by its seed: no rest, V_question = var(.5, .25, 0)/3 = 1/48, V_seed = .125/2.
    suite = np.array([[0.75, 0.5, 0.25], [0.25, 0.0, -0.25]])
    score = mean_score([suite])
    assert score.standard_error**2 == pytest.approx(1 / 48 + 1 / 16, rel=1e-12)
    # Satterthwaite: (1/48 + 1/16)² / ((1/48)²/2 + (1/16)²/1) = (4/48)² / ((1 + 18)/(2·48²)) = 32/19.
    assert score.degrees == pytest.approx(32 / 19, rel=1e-12)


def test_the_rest_is_taken_off_once():
    # Rows (1, 0, .5) and (.5, 0, -.5): question means .75, 0, 0, var .1875; seed means .5, 0, var .125.
    # Rest ±(0, -.25, .25): squares .25, over 1·2·6: V_rest = 1/48. SE² = 3/48 + 3/48 − 1/48.
    score = mean_score([np.array([[1.0, 0.0, 0.5], [0.5, 0.0, -0.5]])])
    assert score.standard_error**2 == pytest.approx(5 / 48, rel=1e-12)


def test_a_component_estimated_below_zero_counts_as_zero():
    # All means are .5 and the rest is ±.5: V_question = V_seed = 0, V_rest = 4(.25)/(1·1·4) = SE².
    score = mean_score([np.array([[1.0, 0.0], [0.0, 1.0]])])
    assert score.standard_error**2 == pytest.approx(0.25, rel=1e-12)


def test_the_macro_average_adds_questions_by_suite_and_keeps_the_seeds_shared():
    # Seed effects ±.25 in both suites do not average out; the suites' questions do, with weight 1/4 each.
    first = np.array([[0.75, 0.5, 0.25], [0.25, 0.0, -0.25]])
    second = first + 0.5
    score = mean_score([first, second])
    assert score.mean == 0.5
    assert score.standard_error**2 == pytest.approx(2 * (1 / 48) / 4 + 1 / 16, rel=1e-12)
    opposite = mean_score([first, second[::-1]])
    assert opposite.standard_error**2 == pytest.approx(2 * (1 / 48) / 4, rel=1e-12)


def test_the_order_of_seeds_and_questions_is_irrelevant_to_a_score():
    generator = np.random.default_rng(0)
    suite = generator.random((3, 20))
    shuffled = suite[generator.permutation(3)][:, generator.permutation(20)]
    np.testing.assert_allclose(mean_score([shuffled]), mean_score([suite]), rtol=1e-12)


@pytest.mark.parametrize(
    "suites", [[np.array([[1.0]])], [np.ones((3, 1))], [np.ones((3, 5)), np.ones((3, 1))]]
)
def test_one_question_has_a_mean_but_no_error(suites):
    score = mean_score(suites)
    assert score.mean == 1.0
    assert math.isnan(score.standard_error)


def test_nothing_has_neither():
    assert all(math.isnan(value) for value in mean_score([np.empty((0, 0))]))
    assert all(math.isnan(value) for value in mean_score([]))


def test_questions_without_a_verdict_in_some_seed_are_left_out():
    suite = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, math.nan]])
    assert mean_score([suite]) == mean_score([suite[:, :2]])
    assert mean_score([suite]).mean == 0.25


def test_equal_scores_have_an_error_of_exactly_zero():
    score = mean_score([np.full((3, 7), 0.1)])
    assert score.standard_error == 0.0
    assert math.isnan(two_sided_p(score))


def test_suites_of_different_seeds_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        mean_score([np.ones((2, 4)), np.ones((3, 4))])


def test_the_error_is_never_negative_nor_silently_missing():
    generator = np.random.default_rng(1)
    for _ in range(300):
        seeds, questions = generator.integers(1, 5), generator.integers(2, 6)
        error = mean_score([generator.integers(0, 2, (seeds, questions)).astype(float)]).standard_error
        assert error >= 0


def test_pairing_takes_the_difficulty_of_questions_out():
    hard = np.linspace(0, 0.8, 9)[None].repeat(2, axis=0)
    step = np.array([0.1, 0.2] * 4 + [0.15])
    difference = paired_difference([hard + step], [hard])
    # 9 values of .1 .2 … .15: variance .02/8 and no difference between seeds.
    assert difference.mean == pytest.approx(0.15)
    assert difference.standard_error == pytest.approx(math.sqrt(0.02 / 8 / 9), rel=1e-9)
    assert difference.standard_error < mean_score([hard]).standard_error / 3


def test_p_is_students():
    score = mean_score([np.array([[1.0, 0.5, 0.0, 0.5]])])
    expected = stats.ttest_1samp([1.0, 0.5, 0.0, 0.5], 0).pvalue
    assert two_sided_p(score) == pytest.approx(expected, rel=1e-12)


def test_holm_by_a_published_example():
    # Values that statsmodels' multipletests gives, rounded; NaN is not counted.
    corrected = holm([0.2, 0.001, math.nan, 0.012, 0.03, 0.04, 0.6])
    expected = [0.4, 0.006, math.nan, 0.06, 0.12, 0.12, 0.6]
    np.testing.assert_allclose(corrected, expected, rtol=1e-9)


def simulate(generator, suites, seed_effect, rest):
    """Return 3 seeds × 100 questions × 4 samples a suite; seed effects (logits) are shared by suites."""
    of_seed = generator.normal(0, seed_effect, (3, 1))
    answers = []
    for _ in range(suites):
        logit = generator.normal(0, 1.5, 100) + of_seed + generator.normal(0, rest, (3, 100))
        answers.append(generator.binomial(4, 1 / (1 + np.exp(-logit))) / 4)
    return answers


@pytest.mark.parametrize(
    ("suites", "seed_effect", "rest"),
    [(1, 0.0, 0.0), (1, 0.1, 0.1), (1, 0.2, 0.2), (1, 0.5, 0.3), (4, 0.2, 0.2)],
)
def test_intervals_cover_the_truth_in_the_design_of_a_study(suites, seed_effect, rest):
    # By symmetry the true mean is 0.5. Of 1,500 repeats a coverage of 95 % has a standard error of 0.6 %.
    generator = np.random.default_rng(7)
    hits, variances, means = 0, [], []
    for _ in range(1500):
        score = mean_score(simulate(generator, suites, seed_effect, rest))
        hits += abs(score.mean - 0.5) <= stats.t.ppf(0.975, score.degrees) * score.standard_error
        variances.append(score.standard_error**2)
        means.append(score.mean)
    assert 0.915 <= hits / 1500 <= 0.98
    assert math.sqrt(np.mean(variances)) == pytest.approx(np.std(means), rel=0.08)


@pytest.mark.parametrize("seed_effect", [0.0, 0.2])
def test_paired_intervals_cover_a_difference_of_zero(seed_effect):
    generator = np.random.default_rng(8)
    hits = 0
    for _ in range(1000):
        difficulty = generator.normal(0, 1.5, 100)
        arms = []
        for _ in range(2):
            logit = difficulty + generator.normal(0, seed_effect, (3, 1)) + generator.normal(0, 0.2, (3, 100))
            arms.append(generator.binomial(4, 1 / (1 + np.exp(-logit))) / 4)
        score = paired_difference([arms[0]], [arms[1]])
        hits += abs(score.mean) <= stats.t.ppf(0.975, score.degrees) * score.standard_error
    assert 0.91 <= hits / 1000 <= 0.985
