"""What a verdict is worth: how often it is wrong where the truth is known, by simulation."""

import math

import numpy as np
import pytest

from studies.published.verdicts import judge

TRIALS, SPREAD, MARGIN = 4000, 1.0, 3.0


def shares(runs, gap, margin=MARGIN):
    """Return how often each verdict is given where the published method is truly `gap` points worse."""
    rng = np.random.default_rng(runs)
    ours, theirs = rng.normal(50 + gap, SPREAD, (TRIALS, runs)), rng.normal(50, SPREAD, TRIALS)
    found = [judge(own, published, margin).verdict for own, published in zip(ours, theirs, strict=True)]
    return {verdict: found.count(verdict) / TRIALS for verdict in set(found)}


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_an_equal_method_is_contradicted_in_five_percent_of_studies(runs):
    # The standard error of a share of 5 % among 4,000 is 0.34 points.
    assert shares(runs, 0.0)["contradicted"] == pytest.approx(0.05, abs=0.011)


@pytest.mark.parametrize("runs", [3, 5])
def test_a_method_at_the_margin_is_called_reproduced_in_at_most_five_percent(runs):
    assert shares(runs, MARGIN).get("reproduced", 0.0) <= 0.05 + 0.011


def test_more_runs_decide_more():
    same, other = [shares(runs, 0.0) for runs in (2, 3, 5, 10)], [shares(runs, 6.0) for runs in (2, 3, 5, 10)]
    reproduced = [found.get("reproduced", 0.0) for found in same]
    contradicted = [found.get("contradicted", 0.0) for found in other]
    assert reproduced == sorted(reproduced)
    assert contradicted == sorted(contradicted)
    assert reproduced[-1] > 0.6
    assert contradicted[-1] > 0.95


def test_the_interval_is_that_of_one_more_run():
    # s = 1, n = 3: t(2, 0.975) = 4.3027, times √(4/3) = 1.1547.
    found = judge([49.0, 50.0, 51.0], 48.0, MARGIN)
    assert (found.difference, found.error) == (2.0, pytest.approx(1 / math.sqrt(3)))
    assert found.high - found.difference == pytest.approx(4.3027 * 1.1547, abs=1e-3)
    assert found.inner_high - found.difference == pytest.approx(2.9200 * 1.1547, abs=1e-3)
    assert found.verdict == "underpowered"


def test_what_was_rounded_off_is_not_held_against_a_number():
    ours = [50.00, 50.01, 50.02]
    assert judge(ours, 50.1, MARGIN).verdict == "contradicted"
    assert judge(ours, 50.1, MARGIN, digit=0.1).verdict == "reproduced"


@pytest.mark.parametrize("ours", [[], [50.0], [50.0, 50.0, 50.0]])
def test_without_a_spread_between_runs_nothing_is_decided(ours):
    found = judge(ours, 10.0, MARGIN)
    assert found.verdict == "underpowered"
    assert found.runs == len(ours)
    assert math.isnan(found.low)


def test_a_difference_that_is_certain_is_contradicted_however_small():
    assert judge([50.0, 50.1, 50.2, 49.9], 52.0, MARGIN).verdict == "contradicted"
