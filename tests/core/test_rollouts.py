import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import (
    BinomialChunks,
    Cosine,
    DemonstrationPrefix,
    DynamicSampling,
    Fixed,
    Linear,
    RolloutPlan,
    UniformShare,
    needs_of,
)
from core.protocols import PrefixLength

EVENLY = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000


def draws(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_uniform_shares_lie_between_a_falling_bound_and_the_highest():
    length = UniformShare(Linear(0.95, 0.15), 0.95)
    assert length(draws(0.0, 0.5, 1.0), 0.0).tolist() == pytest.approx([0.95, 0.95, 0.95])
    assert length(draws(0.0, 0.5, 1.0), 0.5).tolist() == pytest.approx([0.55, 0.75, 0.95])
    assert length(draws(0.0, 0.5, 1.0), 1.0).tolist() == pytest.approx([0.15, 0.55, 0.95])


@given(st.floats(-2.0, 2.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_uniform_share_is_a_share_whatever_its_bound(low, high, draw):
    found = UniformShare(Fixed(low), high)(draws(draw), 0.3)
    assert min(max(low, 0.0), high) - 1e-12 <= found.item() <= high + 1e-12


@pytest.mark.parametrize("chunks", [1, 5])
@pytest.mark.parametrize("chance", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_even_draws_give_the_binomial_distribution(chunks, chance):
    found = BinomialChunks(Fixed(chance), chunks)(EVENLY, 0.0) * chunks
    for k in range(chunks + 1):
        expected = math.comb(chunks, k) * chance**k * (1 - chance) ** (chunks - k)
        assert (found == k).double().mean().item() == pytest.approx(expected, abs=2e-5)


def test_a_larger_draw_never_gives_a_smaller_piece():
    found = BinomialChunks(Fixed(0.4))(EVENLY, 0.0)
    assert (found.diff() >= 0).all()
    assert set(found.tolist()) == {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}


def test_the_chance_of_a_piece_is_annealed_and_kept_a_chance():
    length = BinomialChunks(Cosine(1.0, 0.0, over=0.6))
    assert length(EVENLY, 0.0).min() == 1.0
    assert length(EVENLY, 0.3).mean().item() == pytest.approx(0.5, abs=1e-4)
    assert not length(EVENLY, 0.6).any()
    assert BinomialChunks(Fixed(7.0))(EVENLY, 0.0).min() == 1.0
    assert not BinomialChunks(Fixed(-7.0))(EVENLY, 0.0).any()


def test_a_plan_tells_what_it_needs_and_none_needs_nothing():
    prefix = DemonstrationPrefix(UniformShare(Fixed(0.5)), rollouts=1)
    assert needs_of(RolloutPlan(prefix=prefix)) == {"rollouts", "prefixes"}
    assert needs_of(RolloutPlan(dynamic=DynamicSampling())) == needs_of(RolloutPlan()) == frozenset()
    assert isinstance(prefix.length, PrefixLength)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: UniformShare(Fixed(0.1), 1.5), "UniformShare.high=1.5"),
        (lambda: BinomialChunks(Fixed(0.1), 0), "BinomialChunks.chunks=0"),
        (lambda: DemonstrationPrefix(UniformShare(Fixed(0.1)), 0), "DemonstrationPrefix.rollouts=0"),
        (lambda: DynamicSampling(0), "DynamicSampling.rounds=0"),
    ],
)
def test_bad_numbers_are_refused_by_name(build, named):
    with pytest.raises(ValueError, match=named):
        build()
