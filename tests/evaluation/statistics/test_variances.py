import math

import numpy as np
import pytest

from evaluation.statistics.variances import estimate_variances


def answers(generator, seeds, questions, samples, of_seed=0.0):
    """Return two policies' 0/1 answers; each adds ±.1 to a question's solve rate, ±of_seed to a seed's."""
    rates = 0.5 + 0.2 * generator.choice([-1, 1], questions)
    arms = []
    for sign in (1, -1):
        own = rates + sign * 0.1 * generator.choice([-1, 1], questions)
        cells = own + of_seed * generator.choice([-1, 1], (seeds, 1))
        arms.append(generator.binomial(1, cells[..., None], (seeds, questions, samples)).astype(float))
    return arms


@pytest.mark.parametrize(("seeds", "samples"), [(1, 2), (1, 8), (3, 2)])
def test_the_estimates_are_without_bias(seeds, samples):
    generator = np.random.default_rng(9)
    of_seed = 0.05 if seeds > 1 else 0.0
    found = np.array(
        [estimate_variances(*answers(generator, seeds, 30, samples, of_seed)) for _ in range(1500)]
    )
    # Differences .2, 0, 0 or −.2: variance .02. Rates .5 ± .2 ± .1 ± of_seed: s² = .25 − .05 − of_seed².
    expected = [0.02, 0.2 - of_seed**2, of_seed**2, 0.05]
    mean, error = found.mean(axis=0), found.std(axis=0) / math.sqrt(1500)
    for index in (0, 1, 3) if seeds == 1 else range(4):
        assert abs(mean[index] - expected[index]) < 4 * error[index], index
        assert error[index] < 0.002
    assert np.isnan(found[:, 2]).all() == (seeds == 1)


def test_by_hand():
    # Within (1, 0) variance .5, else 0: mean over four cells of ours and theirs .125, .125.
    ours = np.array([[[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]])
    theirs = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]])
    found = estimate_variances(ours, theirs)
    assert found.within == pytest.approx(0.125)
    # Differences .5, .5, 0, 0: variance 1/12; less .125/2 twice.
    assert found.between == pytest.approx(1 / 12 - 0.125)


def test_seeds_may_differ_in_number_and_verdicts_may_be_missing():
    generator = np.random.default_rng(1)
    ours, theirs = answers(generator, 3, 20, 4)
    assert math.isfinite(estimate_variances(ours, theirs[:1]).seeds)
    damaged = ours.copy()
    damaged[1, 7, 2] = math.nan
    kept = np.arange(20) != 7
    assert estimate_variances(damaged, theirs) == estimate_variances(ours[:, kept], theirs[:, kept])


def test_what_tells_nothing_is_refused():
    ones = np.ones((1, 5, 4))
    with pytest.raises(ValueError, match="two samples"):
        estimate_variances(ones, ones[..., :1])
    with pytest.raises(ValueError, match=r"\(1, 5, 4\).*\(1, 4, 4\)"):
        estimate_variances(ones, ones[:, :4])
    with pytest.raises(ValueError, match="1 questions"):
        estimate_variances(ones[:, :1], ones[:, :1])
