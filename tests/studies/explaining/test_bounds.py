"""How large weights are reported to become: against bounds worked out by hand."""

import math

import pytest
import torch

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    AllOf,
    BehaviorPolicy,
    BoundMask,
    ClipMask,
    ClippedRatio,
    Constant,
    CurrentPolicy,
    Demonstrations,
    DualClipMask,
    EntropyBonus,
    FlooredPolicy,
    GeometricLikelihood,
    GroupRelative,
    KeepAll,
    KlPenalty,
    MaskedImportance,
    MixedBehavior,
    PhiMask,
    PolicyGradient,
    PowerPolicy,
    ResponseLikelihood,
    Rollouts,
    SequenceLikelihood,
    SequenceTokenLikelihood,
    ShapedLikelihood,
    SoftClipMask,
    TokenLikelihood,
    TokenMean,
    TruncatedImportance,
    TwoSidedClipMask,
    Unit,
)
from studies.explaining.bounds import find_bounds as find_bounds_of
from tests.studies.explaining.composed import clipped, one


def find_bounds(algorithm, index):
    """Return the bounds of a term with 8 rollouts of a question."""
    return find_bounds_of(algorithm, index, 8)


def bounds(mask=None, denominator=None, likelihood=None):
    """Return the largest weight for positive and for negative advantages."""
    parts = (
        mask or KeepAll(),
        denominator or BehaviorPolicy(),
        GroupRelative(),
        likelihood or TokenLikelihood(),
    )
    found = find_bounds(one(PolicyGradient(*parts)), 0)
    return tuple(bound.largest for _, bound in found.by_sign)


def soft_peak(temperature):
    """Return max over r of r · 4σ(τ(r − 1))(1 − σ(τ(r − 1)))."""
    ratio = torch.linspace(0.0, 20.0, 2_000_001, dtype=torch.float64)
    gate = torch.sigmoid(temperature * (ratio - 1.0))
    return float((ratio * 4.0 * gate * (1.0 - gate)).max())


@pytest.mark.parametrize(("parts", "positive", "negative"), [
    ({"denominator": CurrentPolicy()}, 1.0, 1.0),
    ({"mask": ClipMask(0.2, 0.28)}, 1.28, math.inf),
    ({"mask": DualClipMask(0.2, 0.2, 3.0)}, 1.2, 3.0),
    ({"mask": TwoSidedClipMask(0.2, 0.2, 4.0)}, 1.2, 4.0),
    ({"mask": BoundMask(0.5, 2.0)}, 2.0, 2.0),
    ({"mask": BoundMask(2.5, 3.25)}, 3.25, 3.25),
    ({"mask": SoftClipMask(1.0, 1.05)}, soft_peak(1.0), soft_peak(1.05)),
    ({"denominator": ClippedRatio(0.0, 5.0)}, 5.0, 5.0),
    ({"denominator": Unit()}, 1.0, 1.0),
    ({"mask": PhiMask(), "denominator": CurrentPolicy()}, 0.25, 0.25),
    ({"mask": PhiMask(), "denominator": Unit()}, 4 / 27, 4 / 27),
    ({"denominator": FlooredPolicy(0.1)}, 1.0, 1.0),
    ({"denominator": PowerPolicy(0.5)}, 1.0, 1.0),
    ({"denominator": MixedBehavior(1000)}, 4000.0, 4000.0),
    ({"denominator": Unit(), "likelihood": ShapedLikelihood(0.1)}, 0.25, 0.25),
    ({"likelihood": GeometricLikelihood(0.4, 0.4)}, math.exp(0.4), math.inf),
    ({"likelihood": SequenceLikelihood(), "mask": ClipMask(0.2, 0.3)}, 1.3, math.inf),
    ({"likelihood": SequenceTokenLikelihood(), "mask": ClipMask(0.2, 0.3)}, 1.3, math.inf),
    ({"mask": AllOf((ClipMask(), TruncatedImportance(2.0))), "denominator": BehaviorPolicy()}, 2.4, math.inf),
    ({"mask": MaskedImportance(0.5, 2.0), "denominator": CurrentPolicy()}, 2.0, 2.0),
    ({}, math.inf, math.inf),
])  # fmt: skip
def test_the_largest_weight_is_what_is_worked_out_by_hand(parts, positive, negative):
    found = bounds(**parts)
    assert found == (pytest.approx(positive, rel=1e-6), pytest.approx(negative, rel=1e-6))


def test_an_unclipped_ratio_is_said_to_grow_and_with_what():
    found = find_bounds(
        one(PolicyGradient(KeepAll(), BehaviorPolicy(), GroupRelative(), TokenLikelihood())), 0
    )
    assert found.text(on_policy=False) == "unbounded: grows with π_θ/π_behavior"
    assert found.text(on_policy=True).endswith("(under these settings bounded by 1)")


def test_a_clip_is_unbounded_below_only():
    said = find_bounds(clipped(), 0).text(on_policy=False)
    assert said == "where Â > 0 bounded by 1.2; where Â < 0 unbounded: grows with π_θ/π_behavior"


def test_a_weight_without_a_cap_grows_with_the_ratio_that_it_is():
    loose = ClippedRatio(None, None, to="reference")
    found = find_bounds(one(PolicyGradient(KeepAll(), loose, GroupRelative(), TokenLikelihood())), 0)
    assert found.text(on_policy=True) == "unbounded: grows with π_θ/π_reference"


def test_only_signs_that_the_advantage_takes_are_told():
    imitate = PolicyGradient(ClipMask(), BehaviorPolicy(), Constant(), TokenLikelihood())
    found = find_bounds(one(imitate, Demonstrations()), 0)
    assert [sign for sign, _ in found.by_sign] == ["Â > 0"]
    assert find_bounds(ALGORITHMS["psft"](), 0).by_sign[0][1].largest == pytest.approx(1.28)


def test_a_term_is_measured_without_its_own_factor():
    assert find_bounds(clipped(scale=5.0), 0) == find_bounds(clipped(), 0)


def test_a_penalty_is_measured_too_and_a_bonus_is_not():
    kl = KlPenalty(0.5, Rollouts(), TokenMean(), estimator="k1", to="reference")
    bonus = EntropyBonus(0.5, Rollouts(), TokenMean())
    algorithm = Algorithm("with", (*clipped().terms, kl, bonus))
    assert find_bounds(algorithm, 1) is not None
    assert find_bounds(algorithm, 1).by_sign[0][0] == ""
    assert find_bounds(algorithm, 2) is None


def test_slow_growth_is_growth():
    kl = KlPenalty(1.0, Rollouts(), TokenMean(), estimator="k2", to="reference")
    found = find_bounds(Algorithm("with", (*clipped().terms, kl)), 1)
    assert found.by_sign[0][1].largest == math.inf


def phi_peak(length):
    """Return max over p of p(1 − p)s, s = p^(1/length): of a token beside others that are certain."""
    power = 1.0 + 1.0 / length
    peak = power / (power + 1.0)
    return peak**power * (1.0 - peak)


def test_a_token_may_gain_weight_from_its_neighbors():
    estimator = PolicyGradient(PhiMask(), Unit(), GroupRelative(), SequenceTokenLikelihood())
    (_, found), _ = find_bounds(one(estimator), 0).by_sign
    wanted = [phi_peak(length) for length in (1, 2, 4, 8)]
    assert found.by_length == pytest.approx(wanted, rel=1e-6)
    assert found.text() == "larger the longer the response: 0.14815 at 1 token, 0.2301 at 8"


@pytest.mark.parametrize(("mask", "text"), [
    (BoundMask(0.5, 2.0), "bounded by 2 · |y| (under these settings bounded by |y|)"),
    (KeepAll(), "unbounded: grows with π_θ/π_behavior (under these settings bounded by |y|)"),
])  # fmt: skip
def test_a_likelihood_of_the_whole_response_weighs_every_token_by_their_number(mask, text):
    estimator = PolicyGradient(mask, BehaviorPolicy(), GroupRelative(), ResponseLikelihood())
    assert find_bounds(one(estimator), 0).text(on_policy=True) == text


def test_a_mean_over_the_response_does_not_grow_with_it():
    estimator = PolicyGradient(BoundMask(0.5, 2.0), BehaviorPolicy(), GroupRelative(), SequenceLikelihood())
    found = find_bounds(one(estimator), 0)
    assert [len(bound.by_length) for _, bound in found.by_sign] == [4, 4]
    assert found.text(on_policy=False) == "bounded by 2"


def test_a_term_that_trains_no_token_has_no_bound():
    assert find_bounds(clipped(scale=0.0), 0) is None


def test_the_k3_penalty_grows_with_the_inverse_ratio():
    kl = KlPenalty(1.0, Rollouts(), TokenMean(), estimator="k3", to="reference")
    found = find_bounds(Algorithm("with", (*clipped().terms, kl)), 1)
    assert found.text(on_policy=True) == "unbounded: grows with π_reference/π_θ"
