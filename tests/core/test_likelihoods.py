import math

import pytest
import torch

from core import (
    BehaviorPolicy,
    ClampedLikelihood,
    ClipMask,
    CurrentPolicy,
    GeometricLikelihood,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Precomputed,
    ResponseLikelihood,
    RewardToGo,
    SequenceLikelihood,
    SequenceTokenLikelihood,
    ShapedLikelihood,
    TokenLikelihood,
    Unit,
)
from tests.core.tokenwise import assert_is, build, estimator, gradient


def min_clip(ratio, credit, low, high):
    return torch.minimum(ratio * credit, ratio.clamp(1 - low, 1 + high) * credit)


def test_a_tokens_likelihood_carries_its_own_ratio():
    parts = estimator(KeepAll(), BehaviorPolicy(), TokenLikelihood())
    assert_is(parts, lambda row: (row.logp - row.old).exp() * row.credit, build())


@pytest.mark.parametrize("bounds", [(0.03, 0.04), (0.5, 0.9)])
def test_a_sequence_likelihood_is_differentiated_through_its_mean(bounds):
    def textbook(row):
        ratio = (row.logp - row.old).mean().exp()
        return min_clip(ratio, row.credit, *bounds)

    parts = estimator(ClipMask(*bounds), BehaviorPolicy(), SequenceLikelihood())
    assert_is(parts, textbook, build(one_advantage_a_row=True))


def test_a_response_likelihood_is_differentiated_through_its_sum():
    def textbook(row):
        return min_clip((row.logp - row.old).sum().exp(), row.credit, 0.3, 0.4)

    parts = estimator(ClipMask(0.3, 0.4), BehaviorPolicy(), ResponseLikelihood())
    assert_is(parts, textbook, build(one_advantage_a_row=True))


@pytest.mark.parametrize("one_advantage_a_row", [False, True])
def test_a_sequence_ratio_may_be_differentiated_token_by_token(one_advantage_a_row):
    def textbook(row):
        whole = (row.logp - row.old).mean().detach()
        ratio = (whole + row.logp - row.logp.detach()).exp()
        return min_clip(ratio, row.credit, 0.03, 0.04)

    parts = estimator(ClipMask(0.03, 0.04), BehaviorPolicy(), SequenceTokenLikelihood())
    assert_is(parts, textbook, build(one_advantage_a_row))


def test_both_sequence_likelihoods_agree_where_rows_have_one_advantage_and_weight():
    rows = build(one_advantage_a_row=True)
    level = torch.where(rows.batch.response_mask, 0.5, 0.0).double()
    rows = type(rows)(rows.batch, rows.logp, rows.advantage, level)
    one, other = (
        estimator(ClipMask(0.03, 0.04), BehaviorPolicy(), part)
        for part in (SequenceLikelihood(), SequenceTokenLikelihood())
    )
    torch.testing.assert_close(gradient(one, rows), gradient(other, rows), rtol=1e-13, atol=0)


@pytest.mark.parametrize("bounds", [(0.4, 0.4), (0.15, 0.2), (0.0, 5.0)])
def test_a_geometric_mean_cuts_each_token_on_the_side_its_advantage_pushes_to(bounds):
    low, high = bounds

    def textbook(row):
        logs = row.logp - row.old
        sign = row.credit.sign()
        cut = sign * torch.minimum(sign * logs, sign * logs.clamp(-low, high))
        return cut.mean().exp() * row.credit

    parts = estimator(KeepAll(), BehaviorPolicy(), GeometricLikelihood(low, high))
    assert_is(parts, textbook, build(one_advantage_a_row=True))


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("denominator", [Unit(), BehaviorPolicy()])
def test_a_shaped_likelihood_saturates(gamma, denominator):
    def textbook(row):
        u = row.logp.exp() if denominator == Unit() else (row.logp - row.old).exp()
        return u / (u + gamma) * row.credit

    assert_is(estimator(KeepAll(), denominator, ShapedLikelihood(gamma)), textbook, build())


def test_shaping_lifts_the_most_unlikely_tokens_by_one_over_gamma():
    logs = torch.tensor([[-60.0, -80.0]], dtype=torch.float64)
    lifted = ShapedLikelihood(0.1).pull_back(torch.ones_like(logs), logs, logs, build().batch)
    value = ShapedLikelihood(0.1)(logs, logs, build().batch)
    torch.testing.assert_close(lifted, torch.ones_like(logs))
    torch.testing.assert_close(value, logs + math.log(10.0))


@pytest.mark.parametrize(("low", "high"), [(-0.2, 0.25), (None, 0.2), (-0.5, None)])
def test_a_clamped_ratio_has_no_gradient_beyond_its_bounds(low, high):
    def textbook(row):
        return min_clip((row.logp - row.old).clamp(low, high).exp(), row.credit, 0.4, 0.6)

    parts = estimator(ClipMask(0.4, 0.6), BehaviorPolicy(), ClampedLikelihood(TokenLikelihood(), low, high))
    assert_is(parts, textbook, build())


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.05), (None, 0.0), (-0.03, None)])
def test_a_clamped_sequence_ratio_has_no_gradient_beyond_its_bounds(low, high):
    seen = set()

    def textbook(row):
        mean = (row.logp - row.old).mean()
        seen.add(bool(mean.clamp(low, high) == mean))
        return mean.clamp(low, high).exp() * row.credit

    likelihood = ClampedLikelihood(SequenceLikelihood(), low, high)
    assert_is(estimator(KeepAll(), BehaviorPolicy(), likelihood), textbook, build(one_advantage_a_row=True))
    assert seen == {False, True}


def test_the_bounds_of_a_clamped_ratio_themselves_have_a_gradient():
    logs = torch.tensor([[-2.0, 2.0, -2.0001, 2.0001]], dtype=torch.float64)
    part = ClampedLikelihood(TokenLikelihood(), -2.0, 2.0)
    found = part.pull_back(torch.ones_like(logs), logs, logs, build().batch)
    assert found.tolist() == [[1.0, 1.0, 0.0, 0.0]]


ROW_RATIOS = [
    SequenceLikelihood(),
    ResponseLikelihood(),
    GeometricLikelihood(),
    ClampedLikelihood(SequenceLikelihood(), high=10.0),
]


@pytest.mark.parametrize("likelihood", ROW_RATIOS)
@pytest.mark.parametrize("advantage", [RewardToGo(), Precomputed()])
def test_one_ratio_a_row_is_refused_with_an_advantage_for_each_token(likelihood, advantage):
    with pytest.raises(ValueError, match="has one ratio for the whole row"):
        PolicyGradient(KeepAll(), BehaviorPolicy(), advantage, likelihood)
    assert PolicyGradient(KeepAll(), BehaviorPolicy(), GroupRelative(), likelihood)


@pytest.mark.parametrize("likelihood", [SequenceTokenLikelihood(), ShapedLikelihood(), TokenLikelihood()])
def test_a_gradient_token_by_token_goes_with_any_advantage(likelihood):
    assert PolicyGradient(KeepAll(), BehaviorPolicy(), RewardToGo(), likelihood)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GeometricLikelihood(low=-0.1), "GeometricLikelihood.low=-0.1 must be"),
        (lambda: GeometricLikelihood(high=float("inf")), "GeometricLikelihood.high=inf must be"),
        (lambda: ShapedLikelihood(0.0), "ShapedLikelihood.gamma=0 leaves no gradient"),
        (lambda: ShapedLikelihood(-1.0), "ShapedLikelihood.gamma=-1.0 must be"),
        (lambda: ClampedLikelihood(TokenLikelihood()), "without low and high clamps nothing"),
        (lambda: ClampedLikelihood(TokenLikelihood(), 1.0, -1.0), "low=1.0 is above high=-1.0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_clamped_wraps_likelihoods_only():
    with pytest.raises(Exception, match="CurrentPolicy"):
        ClampedLikelihood(CurrentPolicy(), high=1.0)
