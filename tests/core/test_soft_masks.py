import dataclasses
import math

import pytest
import torch

from core import (
    AllOf,
    BehaviorPolicy,
    BoundMask,
    ClipMask,
    CurrentPolicy,
    Detached,
    DivergenceMask,
    ExplorationMask,
    KeepAll,
    MixedBehavior,
    PhiMask,
    PolicyTokens,
    SoftClipMask,
    TokenLikelihood,
    TopEntropy,
    TruncatedImportance,
    needs_of,
)
from tests.core.tokenwise import assert_is, build, estimator, gradient, objective

HELD = Detached(BehaviorPolicy())


def ratio_of(row):
    return (row.logp - row.old).exp()


@pytest.mark.parametrize(("positive", "negative"), [(1.0, 1.05), (2.0, 0.5)])
def test_a_soft_gate_is_the_derivative_of_a_scaled_sigmoid(positive, negative):
    def textbook(row):
        tau = [positive if credit > 0 else negative for credit in row.credit.tolist()]
        tau = torch.tensor(tau, dtype=torch.float64)
        return 4 / tau * torch.sigmoid(tau * (ratio_of(row) - 1)) * row.credit

    assert_is(
        estimator(SoftClipMask(positive, negative), BehaviorPolicy(), TokenLikelihood()), textbook, build()
    )


def test_a_soft_gate_trusts_an_unmoved_policy_fully_and_an_exploded_ratio_not_at_all():
    rows = build()
    ones = torch.ones_like(rows.advantage)
    policy = PolicyTokens(rows.logp)
    mask = SoftClipMask(2.0, 3.0)
    assert (mask(ones, ones, policy, rows.batch) == 1.0).all()
    assert not mask(1e30 * ones, ones, policy, rows.batch).any()
    # e^-40 at a ratio of 41: what the difference 1 − σ would round to 0.
    assert (mask(41 * ones, -ones, policy, rows.batch) > 0).all()


def test_phi_weighs_by_the_product_of_probability_and_its_complement():
    def textbook(row):
        p = row.logp.exp().detach()
        return p * (1 - p) * row.logp * row.credit

    assert_is(estimator(PhiMask(), CurrentPolicy(), TokenLikelihood()), textbook, build())


@pytest.mark.parametrize("power", [0.0, 0.5, 2.0])
def test_exploration_weighs_by_a_power_of_the_complement(power):
    def textbook(row):
        p, old = row.logp.exp(), row.old.exp()
        guess = old / 2 + 1 / (2 * 50)
        return (1 - p.detach()) ** power * 2 * p / (guess + old) * row.credit

    parts = estimator(ExplorationMask(power), MixedBehavior(50), TokenLikelihood())
    assert_is(parts, textbook, build())


def test_a_log_prob_rounded_above_zero_gets_no_negative_weight():
    rows = build()
    above = PolicyTokens(torch.full_like(rows.logp, 1e-6))
    found = ExplorationMask()(torch.ones_like(rows.logp), rows.advantage, above, rows.batch)
    assert torch.equal(found, torch.zeros_like(found))


def coins(row, kind):
    """Return the divergence of each token, and whether the policy raised it, by plain arithmetic."""
    for new, old in zip(row.logp.tolist(), row.old.tolist(), strict=True):
        p, q = math.exp(new), math.exp(old)
        bernoulli = q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
        yield abs(p - q) if kind == "tv" else bernoulli, p > q


@pytest.mark.parametrize(("kind", "low", "high"), [("tv", 0.003, 0.005), ("kl", 0.004, 0.03)])
@pytest.mark.parametrize("cap", [1.2, None])
def test_a_divergence_mask_drops_what_is_pushed_on_beyond_its_bound(kind, low, high, cap):
    seen = set()

    def textbook(row):
        kept = []
        for (divergence, raised), credit in zip(coins(row, kind), row.credit.tolist(), strict=True):
            pushed = raised if credit > 0 else not raised
            far = divergence > (high if credit > 0 else low)
            seen.add((pushed, far, credit > 0))
            kept.append(0.0 if pushed and far else 1.0)
        ratio = ratio_of(row).clamp(max=cap) if cap else ratio_of(row)
        return torch.tensor(kept, dtype=torch.float64) * ratio.detach() * row.logp * row.credit

    assert_is(estimator(DivergenceMask(kind, low, high, cap), HELD, TokenLikelihood()), textbook, build())
    assert len(seen) == 8, "a branch was not reached"


@pytest.mark.parametrize(
    ("kind", "bound", "credit", "raised", "kept"),
    [
        # From 0.6 to 0.9 and back, both coins: |0.9 − 0.6| = 0.3;
        # 0.6 ln(0.6/0.9) + 0.4 ln(0.4/0.1) = 0.31124, 0.9 ln(0.9/0.6) + 0.1 ln(0.1/0.4) = 0.22629.
        ("tv", 0.2999, 1.0, True, 0), ("tv", 0.3001, 1.0, True, 1), ("tv", 0.2999, -1.0, True, 1),
        ("tv", 0.2999, -1.0, False, 0), ("tv", 0.3001, -1.0, False, 1), ("tv", 0.2999, 0.0, False, 0),
        ("tv", 0.2999, 1.0, False, 1), ("tv", 0.2999, 0.0, True, 1),
        ("kl", 0.3112, 1.0, True, 0), ("kl", 0.3113, 1.0, True, 1), ("kl", 0.2262, -1.0, False, 0),
        ("kl", 0.2263, -1.0, False, 1), ("kl", 0.2262, 0.0, False, 0), ("kl", 0.3112, -1.0, True, 1),
    ],
)  # fmt: skip
def test_divergences_of_likely_tokens_are_those_of_two_coins(kind, bound, credit, raised, kept):
    new, old = (0.9, 0.6) if raised else (0.6, 0.9)
    rows = build()
    logs = torch.full_like(rows.logp, math.log(new))
    batch = dataclasses.replace(rows.batch, behavior_logp=torch.full_like(logs, math.log(old)))
    weight = DivergenceMask(kind, bound, bound)(
        torch.ones_like(logs), torch.full_like(logs, credit), PolicyTokens(logs), batch
    )
    assert (weight[batch.response_mask] == kept).all()


def test_a_product_of_masks_multiplies_weights_and_holds_the_function_of_the_one_that_bounds():
    def textbook(row):
        ratio, p = ratio_of(row), row.logp.exp().detach()
        clipped = torch.minimum(ratio * row.credit, ratio.clamp(0.8, 1.3) * row.credit)
        return clipped * p * (1 - p) * (1 - p) ** 0.5

    masks = AllOf((PhiMask(), ClipMask(0.2, 0.3), ExplorationMask()))
    assert_is(estimator(masks, BehaviorPolicy(), TokenLikelihood()), textbook, build())


def test_a_product_may_hold_products():
    flat = AllOf((PhiMask(), ExplorationMask(), ClipMask()))
    for nested in (AllOf((AllOf((PhiMask(), ExplorationMask())), ClipMask())),
                   AllOf((AllOf((PhiMask(), ClipMask())), ExplorationMask()))):  # fmt: skip
        one, other = (estimator(mask, BehaviorPolicy(), TokenLikelihood()) for mask in (flat, nested))
        torch.testing.assert_close(gradient(one, build()), gradient(other, build()), rtol=1e-13, atol=0)
        torch.testing.assert_close(objective(one, build()), objective(other, build()), rtol=1e-13, atol=0)


def test_a_product_of_one_is_that_mask():
    for mask in (ClipMask(0.1, 0.2), PhiMask(), SoftClipMask(), TopEntropy(0.4)):
        one, other = (estimator(each, BehaviorPolicy(), TokenLikelihood()) for each in (mask, AllOf((mask,))))
        assert torch.equal(gradient(one, build()), gradient(other, build()))
        assert torch.equal(objective(one, build()), objective(other, build()))


def test_a_product_plans_the_product_of_what_its_masks_plan():
    rows = build()
    row, step = TopEntropy(0.5, "row"), TopEntropy(0.4, "step")
    found = AllOf((row, ClipMask(), step)).plan(rows.batch, rows.advantage)
    one, other = (mask.plan(rows.batch, rows.advantage) for mask in (row, step))
    assert torch.equal(found, one * other)
    assert found.any()
    assert not torch.equal(found, one)
    assert (AllOf((ClipMask(),)).plan(rows.batch, rows.advantage) == 1).all()


def test_a_product_needs_what_its_masks_need():
    masks = AllOf((TruncatedImportance(), TopEntropy()))
    assert needs_of(masks) == {"behavior_logp", "sampler_logp", "current_entropy"}
    assert needs_of(masks, phase="plan_needs") == {"current_entropy"}


@pytest.mark.parametrize(
    "masks", [(ClipMask(), BoundMask(0.5, 2.0)), (SoftClipMask(), AllOf((PhiMask(), ClipMask())))]
)
def test_two_functions_of_the_ratio_are_refused(masks):
    with pytest.raises(ValueError, match="both bound the ratio, and the loss can hold only one"):
        AllOf(masks)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AllOf(()), r"AllOf.masks=\(\) trusts every token; use KeepAll"),
        (lambda: SoftClipMask(positive=0.0), "SoftClipMask.positive=0 fades nothing out"),
        (lambda: SoftClipMask(negative=-1.0), "SoftClipMask.negative=-1.0 must be"),
        (lambda: ExplorationMask(-0.5), "ExplorationMask.power=-0.5 must be"),
        (lambda: DivergenceMask(low=-0.1), "DivergenceMask.low=-0.1 must be"),
        (lambda: DivergenceMask(high=float("inf")), "DivergenceMask.high=inf must be"),
        (lambda: DivergenceMask(cap=-1.0), "DivergenceMask.cap=-1.0 must be"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_part_that_is_no_mask_is_refused_in_a_product():
    with pytest.raises(TypeError, match=r"AllOf.masks\[1\]=BehaviorPolicy\(\) is called with"):
        AllOf((KeepAll(), BehaviorPolicy()))
