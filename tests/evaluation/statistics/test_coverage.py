"""Intervals hold the truth in 95 %, tests see a difference that isn't there in 5 %, each within one point."""

import numpy as np
import pytest

from tests.evaluation.statistics import simulations as world


def within_a_point(found, nominal=0.95, noise=0.0):
    """Noise is what the simulation itself adds where few repeats are affordable."""
    return found == pytest.approx(nominal, abs=0.01 + noise)


@pytest.fixture
def generator():
    return np.random.default_rng(20)


@pytest.mark.parametrize(
    ("questions", "samples", "difficulty"),
    [(30, 32, world.AIME), (30, 8, world.AIME), (30, 32, world.AIME_HARD), (500, 4, world.GSM)],
)
def test_intervals_of_averages(generator, questions, samples, difficulty):
    assert within_a_point(
        world.covered(*world.earned_scores(generator, 4000, questions, samples, difficulty))
    )


@pytest.mark.parametrize(("questions", "samples"), [(30, 32), (30, 64), (500, 16)])
def test_intervals_of_pass_at_8(generator, questions, samples):
    assert within_a_point(world.covered(*world.pass_scores(generator, 4000, questions, samples, 8)))


def test_intervals_of_majority_at_8(generator):
    assert within_a_point(world.covered(*world.majority_scores(generator, 4000, 30, 32, 8)))


@pytest.mark.parametrize(("questions", "samples"), [(30, 32), (100, 4), (500, 4)])
def test_intervals_and_t_tests_of_paired_differences(generator, questions, samples):
    covered, seen = world.compared(*world.pairs(generator, 4000, questions, samples))
    assert within_a_point(covered)
    assert within_a_point(seen, 0.05)


def test_one_answer_a_question_has_an_interval_that_covers_and_an_exact_test(generator):
    covered, seen = world.compared(*world.pairs(generator, 2000, 500, 1))
    assert within_a_point(covered)
    assert seen <= 0.05


@pytest.mark.parametrize(("rate", "least"), [(0.02, 0.0), (0.1, 0.0), (0.6, 0.035)])
def test_mcnemar_is_at_most_nominal(generator, rate, least):
    assert least <= world.discordant(generator, 3000, 1000, rate) <= 0.05


def test_a_difference_of_the_margin_is_called_equivalent_in_5_percent(generator):
    assert within_a_point(world.called_equivalent(generator, 4000, 30, 32, margin=0.1), 0.05)
    assert within_a_point(world.called_equivalent(generator, 2000, 500, 4, margin=0.05), 0.05)
    # With a margin of only two standard errors the other tail is seldom excluded: fewer.
    assert world.called_equivalent(generator, 1500, 30, 32, margin=0.05) <= 0.05


@pytest.mark.parametrize(("questions", "samples"), [(30, 32), (500, 1)])
@pytest.mark.parametrize("of_seed", [0.0, 0.05, 0.1])
def test_three_seeds_that_differ_by_up_to_a_point(generator, questions, samples, of_seed):
    # Satterthwaite's degrees of freedom err on the safe side where seeds hardly differ.
    covered, seen = world.crossed(generator, 1200, 3, questions, samples, of_seed)
    assert 0.94 <= covered <= 0.975
    assert 0.025 <= seen <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("questions", "samples", "repeats"), [(30, 32, 4000), (100, 4, 1500)])
def test_bootstrap_intervals_of_paired_differences(generator, questions, samples, repeats):
    ours, theirs = world.pairs(generator, repeats, questions, samples)
    assert within_a_point(world.bootstrapped([(ours - theirs)[:, 0]], 0.0), noise=0.005)


@pytest.mark.slow
def test_bootstrap_intervals_of_averages_and_of_several_suites(generator):
    scores, truth = world.earned_scores(generator, 4000, 30, 32)
    assert within_a_point(world.bootstrapped([scores], truth))
    suites = [np.subtract(*world.pairs(generator, 2000, size, 8))[:, 0] for size in (30, 40, 100)]
    assert within_a_point(world.bootstrapped(suites, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize(("questions", "samples", "repeats"), [(30, 32, 3000), (100, 32, 1500)])
def test_sign_flips(generator, questions, samples, repeats):
    assert within_a_point(
        world.flipped(*world.pairs(generator, repeats, questions, samples)), 0.05, noise=0.005
    )


@pytest.mark.slow
def test_exclusive_solves_see_nothing_that_is_not_there(generator):
    some_level, levels_differ = world.any_level(generator, 300)
    assert some_level <= 0.05
    assert levels_differ <= 0.06
