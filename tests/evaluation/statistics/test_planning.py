import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from evaluation.statistics.comparisons import compare, mcnemar
from evaluation.statistics.planning import (
    Criterion,
    Design,
    PlanError,
    difference_error,
    minimum_difference,
    power,
    smallest,
)
from evaluation.statistics.sample_sizes import mcnemar_power, mcnemar_questions, proportion_questions
from evaluation.statistics.variances import Variances

NORMAL = Criterion(normal=True)
# A paired t test of differences with standard deviation 1.
UNIT = Variances(between=1.0, within=0.0)


@pytest.mark.parametrize(
    ("questions", "samples", "within", "points"),
    [
        (30, 1, 0.10, 23.4),  # AIME
        (30, 32, 0.10, 6.5),
        (40, 32, 0.10, 5.6),  # AMC 2023
        (500, 1, 0.10, 5.7),  # MATH-500
        (675, 1, 0.10, 4.9),  # Olympiad
        (1172, 1, 0.05, 2.7),  # ARC-c
        (198, 1, 0.15, 11.1),  # GPQA
        (198, 8, 0.15, 4.3),
    ],
)
def test_minimum_differences_of_benchmarks(questions, samples, within, points):
    variances = Variances(within=within)
    least = minimum_difference(Design(questions, samples), variances, NORMAL)
    # 2.8 √((.01 + 2 within/K)/n)
    assert least == pytest.approx(2.8016 * math.sqrt((0.01 + 2 * within / samples) / questions), rel=1e-4)
    assert round(100 * least, 1) == points


@pytest.mark.parametrize(("effect", "questions"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_sample_sizes_of_the_paired_t_test(effect, questions):
    # G*Power and Cohen's tables: 199, 34 and 15 pairs at α = .05 two-sided and power .8.
    assert smallest("questions", effect, Design(2), UNIT).questions == questions
    assert math.ceil(TTestPower().solve_power(effect, power=0.8, alpha=0.05)) == questions


@pytest.mark.parametrize("questions", [2, 5, 30, 500])
def test_power_is_statsmodels_for_one_seed(questions):
    # Beyond 8 standard errors statsmodels' noncentral t is not a number.
    for effect in (0.0, 0.1, 0.3, min(0.9, 8 / math.sqrt(questions))):
        paired = power(effect, Design(questions), UNIT)
        assert paired == pytest.approx(TTestPower().power(effect, questions, 0.05), rel=1e-8)
        unpaired = power(effect, Design(questions, paired=False), Variances(within=0.0, difficulty=1.0))
        assert unpaired == pytest.approx(TTestIndPower().power(effect, questions, 0.05), rel=1e-8)


def test_huge_differences_are_seen_for_certain():
    assert power(1.0, Design(500, 64), Variances()) == pytest.approx(1.0)
    assert power(1.0, Design(500, 64, 2), Variances(seeds=1e-9)) == pytest.approx(1.0)


def test_the_error_has_a_part_for_questions_samples_and_seeds():
    variances = Variances(between=0.02, within=0.2, seeds=0.003)
    error, degrees = difference_error(Design(100, 4, 5), variances)
    # (.02 + .4/20)/100 = .0004; .006/5 = .0012; e = .4/20/100 = .0002.
    assert error**2 == pytest.approx(0.0016)
    assert degrees == pytest.approx(16**2 / (4**2 / 99 + 14**2 / 4 + 2**2 / 396))
    # Unpaired 2 (.1 + .2/20)/100 = .0022, and both degrees of freedom are doubled.
    error, degrees = difference_error(Design(100, 4, 5, paired=False), variances)
    assert error**2 == pytest.approx(0.0034)
    assert degrees == pytest.approx(2 * 34**2 / (22**2 / 99 + 14**2 / 4 + 2**2 / 396))


def test_the_normal_approximation_is_the_textbooks():
    error, _ = difference_error(Design(200, 2), Variances())
    z = stats.norm.ppf(0.975)
    expected = stats.norm.cdf(0.03 / error - z) + stats.norm.cdf(-0.03 / error - z)
    assert power(0.03, Design(200, 2), Variances(), NORMAL) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("criterion", [Criterion(), NORMAL, Criterion(alpha=0.01, power=0.95)])
@pytest.mark.parametrize("paired", [True, False])
def test_the_minimum_difference_has_the_power_asked_for(criterion, paired):
    design, variances = Design(60, 4, 3, paired=paired), Variances(seeds=0.0002)
    least = minimum_difference(design, variances, criterion)
    assert power(least, design, variances, criterion) == pytest.approx(criterion.power, abs=1e-7)
    assert power(-least, design, variances, criterion) == pytest.approx(criterion.power, abs=1e-7)


@pytest.mark.parametrize("count", ["questions", "samples", "seeds"])
def test_the_smallest_number_is_enough_and_one_less_is_not(count):
    variances = Variances(seeds=0.00005)
    found = smallest(count, 0.02, Design(800, 4, 6), variances)
    assert power(0.02, found, variances) >= 0.8
    less = replace(found, **{count: getattr(found, count) - 1})
    assert power(0.02, less, variances) < 0.8


def test_no_number_of_samples_makes_up_for_few_questions():
    assert smallest("samples", 0.03, Design(30), Variances()) is None
    assert smallest("seeds", 0.03, Design(30), Variances()) is None
    assert smallest("questions", 0.01, Design(30, 4, 2), Variances(seeds=0.0004)) is None
    # Just above 2.8 √(.01/30) with t in place of the normal it is possible.
    assert smallest("samples", 0.054, Design(30), Variances()) is not None


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Design(1), "questions=1"),
        (lambda: Design(30, 0), "samples=0"),
        (lambda: Design(30, 1, 0), "seeds=0"),
        (lambda: Design(30.5), "questions=30.5"),
        (lambda: Criterion(alpha=5), "alpha=5"),
        (lambda: Criterion(power=80), "power=80"),
        (lambda: Criterion(power=0.04), "power=0.04"),
        (lambda: power(0.1, Design(30), Variances(seeds=0.1)), "seeds=2 or more"),
        (lambda: power(0.1, Design(30), Variances(0, 0, 0)), "all variances are 0"),
        (lambda: mcnemar_questions(0.1, 0.1), "difference of 0"),
        (lambda: mcnemar_questions(0.7, 0.4), "at most 1"),
        (lambda: proportion_questions(0.5, 0.5), "different shares"),
    ],
)
def test_impossible_plans_are_refused_by_name(make, text):
    with pytest.raises(PlanError, match=text):
        make()


def test_mcnemar_sample_sizes():
    # Connor's formula, with .45 and .05 (https://doi.org/10.2307/2531961): 23 pairs.
    assert mcnemar_questions(0.45, 0.05) == 23
    # ψ = .3, d = .1: (1.96 √.3 + .8416 √.29)²/.01 = 233.1.
    assert mcnemar_questions(0.2, 0.1) == 234
    # Miettinen: (1.96·.3 + .8416 √(.09 − .01·3.3/4))²/(.3·.01) = 228.9.
    assert mcnemar_questions(0.1, 0.2, method="miettinen") == 229


def test_proportion_sample_sizes():
    # Fleiss: .5 against .6, 388 in each group.
    assert proportion_questions(0.5, 0.6) == 388
    for first, second in ((0.5, 0.6), (0.1, 0.3), (0.9, 0.85)):
        other = samplesize_proportions_2indep_onetail(second - first, first, 0.8, alpha=0.05)
        assert proportion_questions(first, second) == math.ceil(other)
    unpaired = Variances(within=0.245, difficulty=0.0)
    found = smallest("questions", 0.1, Design(2, paired=False), unpaired, NORMAL)
    assert found.questions == math.ceil(7.8489 * 0.49 / 0.01)


def test_mcnemars_power_by_enumeration():
    exact = 0.0
    for wins in range(13):
        for losses in range(13 - wins):
            chance = stats.multinomial.pmf([wins, losses, 12 - wins - losses], 12, [0.5, 0.1, 0.4])
            ours = np.array([1.0] * wins + [0.0] * losses)
            exact += chance * (mcnemar(ours, 1 - ours).p <= 0.05)
    assert mcnemar_power(0.5, 0.1, 12) == pytest.approx(exact, rel=1e-10)
    assert mcnemar_power(0.2, 0.1, mcnemar_questions(0.2, 0.1)) == pytest.approx(0.8, abs=0.04)


def test_one_answer_a_question_is_planned_alike_by_variances_and_by_discordant_shares():
    # The variance of a 0/1 difference is ψ − d² = between + 2 within.
    design, variances = Design(1000), Variances(between=0.05, within=(0.3 - 0.0016 - 0.05) / 2)
    assert power(0.04, design, variances) == pytest.approx(mcnemar_power(0.17, 0.13, 1000), abs=0.03)


@pytest.mark.parametrize(
    ("design", "variances"),
    [
        (Design(30, 8), Variances()),
        (Design(100, 4, 3), Variances(seeds=0.0005)),
        (Design(100, 1, 5), Variances(seeds=0.0001)),
    ],
)
def test_the_planned_power_is_the_one_that_is_had(design, variances):
    generator = np.random.default_rng(6)
    least = minimum_difference(design, variances)
    shape = (design.seeds, design.questions)
    seen = 0
    for _ in range(1500):
        gain = least + generator.normal(0, math.sqrt(variances.between), design.questions)
        arms = [
            generator.normal(0, math.sqrt(variances.within / design.samples), shape)
            + generator.normal(0, math.sqrt(variances.seeds), (design.seeds, 1))
            for _ in range(2)
        ]
        seen += compare([arms[0] + gain], [arms[1]]).p <= 0.05
    # Three seeds: the test takes its degrees of freedom from the data.
    assert seen / 1500 == pytest.approx(0.8, abs=0.04)
