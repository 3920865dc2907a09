import dataclasses
import math

import pytest
import torch

from core import (
    AllOf,
    BehaviorPolicy,
    ClipMask,
    CurrentPolicy,
    Demonstrations,
    KeepAll,
    MaskedImportance,
    PolicyGradient,
    PolicyTokens,
    Precomputed,
    Rollouts,
    SequenceDivergenceMask,
    Term,
    TokenLikelihood,
    TokenMean,
    TruncatedImportance,
)
from tests.core.tokenwise import assert_is, build, estimator

LEVELS = ["token", "sequence", "sequence_mean"]


def importance(row, level):
    """Return π_behavior/π_sampler of each token, or of its row, by plain arithmetic."""
    gaps = [old - sampler for old, sampler in zip(row.old.tolist(), row.sampler.tolist(), strict=True)]
    whole = {"sequence": sum(gaps), "sequence_mean": sum(gaps) / len(gaps)}
    return [math.exp(whole.get(level, gap)) for gap in gaps]


def assert_weighs(mask, weigh, denominator=None):
    """Compare with sg(weight) times the importance-weighted advantage."""

    def textbook(row):
        return torch.tensor(weigh(row), dtype=torch.float64) * (row.logp - row.old).exp() * row.credit

    assert_is(estimator(mask, denominator or BehaviorPolicy(), TokenLikelihood()), textbook, build())


@pytest.mark.parametrize("level", LEVELS)
def test_truncated_weights_end_at_the_cap(level):
    seen = set()

    def weigh(row):
        seen.update(w > 1.05 for w in importance(row, level))
        return [min(w, 1.05) for w in importance(row, level)]

    assert_weighs(TruncatedImportance(1.05, level), weigh)
    assert seen == {False, True}


def test_truncated_weights_may_have_a_floor():
    assert_weighs(
        TruncatedImportance(1.3, "token", 0.9),
        lambda row: [max(min(w, 1.3), 0.9) for w in importance(row, "token")],
    )


@pytest.mark.parametrize(
    ("level", "low", "high"), [("token", 0.93, 1.2), ("sequence", 0.5, 1.3), ("sequence_mean", 0.93, 1.05)]
)
def test_masked_weights_vanish_outside_their_bounds(level, low, high):
    seen = set()

    def weigh(row):
        found = [w if low <= w <= high else 0.0 for w in importance(row, level)]
        seen.update((w < low, w > high) for w in importance(row, level))
        return found

    assert_weighs(MaskedImportance(low, high, level), weigh)
    assert len(seen) == 3, "a branch was not reached"


def test_a_correction_multiplies_the_clip_and_is_not_clipped_itself():
    def textbook(row):
        ratio = (row.logp - row.old).exp()
        clipped = torch.minimum(ratio * row.credit, ratio.clamp(0.8, 1.2) * row.credit)
        return clipped * torch.tensor(importance(row, "token"), dtype=torch.float64).clamp(max=1.1)

    masks = AllOf((ClipMask(), TruncatedImportance(1.1)))
    assert_is(estimator(masks, BehaviorPolicy(), TokenLikelihood()), textbook, build())


@pytest.mark.parametrize("mask", [TruncatedImportance(9.0), MaskedImportance(0.1, 9.0)])
@pytest.mark.parametrize("level", LEVELS)
def test_given_tokens_were_not_sampled_and_have_no_weight_of_their_own(mask, level):
    rows = build()
    prefix = torch.arange(rows.logp.shape[1]) < 3
    given = dataclasses.replace(
        rows.batch,
        prefix_mask=prefix.expand_as(rows.batch.response_mask),
        sampler_logp=torch.where(prefix, torch.nan, rows.batch.sampler_logp),
    )
    sampled = dataclasses.replace(rows.batch, response_mask=rows.batch.response_mask & ~prefix)
    part = dataclasses.replace(mask, level=level)
    ones, policy = torch.ones_like(rows.logp), PolicyTokens(rows.logp)
    found, wanted = (part(ones, ones, policy, batch) for batch in (given, sampled))
    inside = sampled.response_mask
    assert torch.equal(found[inside], wanted[inside])
    if level == "token":
        assert (found[given.response_mask & prefix] == 1).all()


@pytest.mark.parametrize("mask", [TruncatedImportance(level="sequence"), MaskedImportance(level="sequence")])
@pytest.mark.parametrize("gap", [-80.0, 80.0])
def test_products_over_long_rows_stay_finite(mask, gap):
    rows = build(dtype=torch.float32)
    far = dataclasses.replace(rows.batch, sampler_logp=rows.batch.behavior_logp - gap)
    ones = torch.ones_like(rows.logp)
    found = mask(ones, ones, PolicyTokens(rows.logp), far)[far.response_mask]
    wanted = 0.0 if gap < 0 else mask.cap if isinstance(mask, TruncatedImportance) else 0.0
    torch.testing.assert_close(found, torch.full_like(found, wanted), rtol=0, atol=1e-30)


def test_responses_pushed_down_that_the_policy_left_are_dropped_whole():
    seen = set()

    def textbook(row):
        gaps = (row.old - row.logp).tolist()
        far = sum(gaps) / len(gaps) > 0.1
        seen.update((far, credit < 0) for credit in row.credit.tolist())
        kept = [0.0 if far and credit < 0 else 1.0 for credit in row.credit.tolist()]
        return torch.tensor(kept, dtype=torch.float64) * (row.logp - row.old).exp() * row.credit

    parts = estimator(SequenceDivergenceMask(0.1), BehaviorPolicy(), TokenLikelihood())
    assert_is(parts, textbook, build())
    assert len(seen) == 4, "a branch was not reached"


def test_the_divergence_threshold_itself_is_kept():
    rows = build()
    # Sums of halves over any number of tokens are exact.
    policy = PolicyTokens(torch.zeros_like(rows.logp))
    batch = dataclasses.replace(rows.batch, behavior_logp=torch.full_like(rows.logp, 0.5))
    minus = -torch.ones_like(rows.logp)
    inside = batch.response_mask
    assert (SequenceDivergenceMask(0.5)(minus, minus, policy, batch)[inside] == 1).all()
    assert (SequenceDivergenceMask(0.4999)(minus, minus, policy, batch)[inside] == 0).all()
    assert (SequenceDivergenceMask(0.4999)(minus, 0 * minus, policy, batch)[inside] == 1).all()


@pytest.mark.parametrize("mask", [TruncatedImportance(), AllOf((KeepAll(), MaskedImportance()))])
def test_a_correction_by_the_sampler_is_refused_on_demonstrations(mask):
    parts = PolicyGradient(mask, CurrentPolicy(), Precomputed(), TokenLikelihood())
    with pytest.raises(ValueError, match="reads what only rollouts have"):
        Term("imitate", parts, Demonstrations(), TokenMean())
    assert Term("reinforce", parts, Rollouts(), TokenMean())


@pytest.mark.parametrize("field", ["behavior_logp", "sampler_logp"])
def test_a_correction_says_which_log_probs_are_missing(field):
    rows = build()
    batch = dataclasses.replace(rows.batch, **{field: None})
    with pytest.raises(ValueError, match=f"TruncatedImportance reads {field}"):
        TruncatedImportance()(rows.logp, rows.logp, PolicyTokens(rows.logp), batch)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TruncatedImportance(-1.0), "TruncatedImportance.cap=-1.0 must be"),
        (lambda: TruncatedImportance(1.0, floor=2.0), r"TruncatedImportance.cap=1.0 must be .*\[2.0, inf\]"),
        (lambda: MaskedImportance(3.0, 2.0), "MaskedImportance.low=3.0 is above high=2.0"),
        (lambda: MaskedImportance(high=float("inf")), "MaskedImportance.high=inf must be a finite number"),
        (lambda: SequenceDivergenceMask(float("nan")), "SequenceDivergenceMask.threshold=nan must be"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
