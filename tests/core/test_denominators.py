import dataclasses
import math

import pytest
import torch

from core import (
    BehaviorPolicy,
    ClippedRatio,
    CurrentPolicy,
    Detached,
    FlooredPolicy,
    KeepAll,
    MixedBehavior,
    PolicyTokens,
    PowerPolicy,
    SequenceLikelihood,
    TokenLikelihood,
    Unit,
    needs_of,
)
from tests.core.tokenwise import assert_is, build, estimator, gradient, objective


def assert_ascends(denominator, textbook):
    """Compare with an objective of one row's log-probs, times the advantage."""
    parts = estimator(KeepAll(), denominator, TokenLikelihood())
    assert_is(parts, lambda row: textbook(row) * row.credit, build())


def test_the_current_policy_gives_maximum_likelihood():
    assert_ascends(CurrentPolicy(), lambda row: row.logp)


def test_the_behavior_policy_gives_the_importance_ratio():
    assert_ascends(BehaviorPolicy(), lambda row: (row.logp - row.old).exp())


def test_one_gives_the_probability_itself():
    assert_ascends(Unit(), lambda row: row.logp.exp())


@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0, 10.0])
def test_a_power_gives_the_box_cox_transform_of_the_probability(alpha):
    assert_ascends(PowerPolicy(alpha), lambda row: (row.logp.exp() ** alpha - 1) / alpha)


def test_power_zero_is_the_log_probability_the_limit_of_small_powers():
    assert_ascends(PowerPolicy(0.0), lambda row: row.logp)
    small, zero = (estimator(KeepAll(), PowerPolicy(alpha), TokenLikelihood()) for alpha in (1e-6, 0.0))
    torch.testing.assert_close(objective(small, build()), objective(zero, build()), rtol=1e-3, atol=0)
    torch.testing.assert_close(gradient(small, build()), gradient(zero, build()), rtol=1e-5, atol=0)


def test_power_one_has_the_gradient_of_the_probability():
    power, unit = (estimator(KeepAll(), part, TokenLikelihood()) for part in (PowerPolicy(1.0), Unit()))
    torch.testing.assert_close(gradient(power, build()), gradient(unit, build()), rtol=1e-14, atol=0)


def test_a_floor_holds_the_probability_in_the_denominator_above_it():
    seen = set()

    def textbook(row):
        p = row.logp.exp()
        seen.update((p > 0.02).tolist())
        return p / p.detach().clamp(min=0.02)

    assert_ascends(FlooredPolicy(0.02), textbook)
    assert seen == {False, True}


def test_a_mixture_halves_the_snapshot_and_a_guess_at_the_teacher():
    def textbook(row):
        old = row.old.exp()
        guess = 0.5 * old + 0.5 / 30
        return 2 * row.logp.exp() / (guess + old)

    assert_ascends(MixedBehavior(30), textbook)


def test_a_mixture_bounds_the_ratio_where_the_snapshot_knew_nothing():
    rows = build()
    unknown = dataclasses.replace(rows.batch, behavior_logp=torch.full_like(rows.logp, -1e4))
    certain = PolicyTokens(torch.zeros_like(rows.logp))
    found = MixedBehavior(30)(certain, unknown)[rows.batch.response_mask]
    torch.testing.assert_close(found, torch.full_like(found, -math.log(4 * 30)))


def weight_of(row, to, level):
    """Return π_θ/π_to of each token, or of its row, by plain arithmetic."""
    other = row.old if to == "behavior" else row.anchor
    gaps = (row.logp.detach() - other).tolist()
    whole = {"sequence": sum(gaps), "sequence_mean": sum(gaps) / len(gaps)}
    return [math.exp(whole.get(level, gap)) for gap in gaps]


@pytest.mark.parametrize("to", ["behavior", "reference"])
@pytest.mark.parametrize("level", ["token", "sequence", "sequence_mean"])
@pytest.mark.parametrize(("low", "high"), [(0.9, 1.05), (None, 1.3), (0.95, None), (None, None), (0.0, 2.0)])
def test_a_clipped_ratio_weighs_the_log_likelihood_by_a_constant(to, level, low, high):
    def textbook(row):
        weight = [min(max(w, low or 0.0), high or math.inf) for w in weight_of(row, to, level)]
        return torch.tensor(weight, dtype=torch.float64) * row.logp

    assert_ascends(ClippedRatio(low, high, to, level), textbook)


@pytest.mark.parametrize("level", ["token", "sequence", "sequence_mean"])
def test_both_bounds_of_a_clipped_ratio_are_reached(level):
    seen = set()
    for row in build().each(build().logp):
        seen.update((w < 0.9, w > 1.05) for w in weight_of(row, "behavior", level))
    assert {(True, False), (False, True)} <= seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", [-80.0, 80.0])
def test_a_row_whose_product_overflows_keeps_a_finite_weight(dtype, gap):
    rows = build(dtype=dtype)
    far = dataclasses.replace(rows.batch, behavior_logp=rows.logp - gap)
    denominator = ClippedRatio(level="sequence")
    found = (rows.logp - denominator(PolicyTokens(rows.logp), far))[far.response_mask]
    torch.testing.assert_close(found, torch.full_like(found, gap), rtol=1e-5, atol=0)
    assert found.exp().isfinite().all()


@pytest.mark.parametrize(
    ("inner", "ratio"),
    [
        (Unit(), lambda row: row.logp.exp()),
        (BehaviorPolicy(), lambda row: (row.logp - row.old).exp()),
        (FlooredPolicy(0.02), lambda row: row.logp.exp() / row.logp.exp().clamp(min=0.02)),
        (PowerPolicy(0.5), lambda row: row.logp.exp() ** 0.5),
    ],
)
def test_a_detached_denominator_keeps_the_gradient_and_reports_a_weighted_log_likelihood(inner, ratio):
    whole, held = (estimator(KeepAll(), part, TokenLikelihood()) for part in (inner, Detached(inner)))
    assert torch.equal(gradient(whole, build()), gradient(held, build()))
    assert objective(whole, build()) != objective(held, build())
    assert_ascends(Detached(inner), lambda row: ratio(row).detach() * row.logp)


def test_dynamic_fine_tuning_is_the_detached_one():
    assert_ascends(Detached(Unit()), lambda row: row.logp.exp().detach() * row.logp)


def test_a_sequence_likelihood_takes_denominators_that_move():
    def textbook(row):
        mean = (0.5 * row.logp).mean()
        return (mean.exp() - 1) / 0.5 * row.credit

    rows = build(one_advantage_a_row=True)
    assert_is(estimator(KeepAll(), PowerPolicy(0.5), SequenceLikelihood()), textbook, rows)


def test_each_denominator_names_the_log_probs_it_reads():
    assert needs_of(ClippedRatio(to="behavior")) == {"behavior_logp"}
    assert needs_of(ClippedRatio(to="reference")) == {"reference_logp"}
    assert needs_of(Detached(MixedBehavior(9))) == {"behavior_logp"}
    assert needs_of(Unit(), PowerPolicy(0.5), FlooredPolicy(), CurrentPolicy()) == frozenset()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: PowerPolicy(-0.1), "PowerPolicy.alpha=-0.1 must be"),
        (lambda: FlooredPolicy(0.0), "FlooredPolicy.floor=0 bounds nothing; use CurrentPolicy"),
        (lambda: FlooredPolicy(1.5), "FlooredPolicy.floor=1.5 must be"),
        (lambda: MixedBehavior(0), "MixedBehavior.vocabulary=0 must be"),
        (lambda: ClippedRatio(2.0, 1.0), "ClippedRatio.low=2.0 is above high=1.0"),
        (lambda: ClippedRatio(high=0.0), "ClippedRatio.high=0 gives every token the weight 0"),
        (lambda: ClippedRatio(low=-1.0), "ClippedRatio.low=-1.0 must be"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_detached_wraps_denominators_only():
    with pytest.raises(TypeError, match=r"Detached.denominator=KeepAll\(\) is called with"):
        Detached(KeepAll())
