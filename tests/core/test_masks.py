import pytest
import torch

from core import (
    BehaviorPolicy,
    BoundMask,
    ClipMask,
    DualClipMask,
    KeepAll,
    PolicyTokens,
    TokenBatch,
    TokenLikelihood,
    TwoSidedClipMask,
)
from tests.core.tokenwise import assert_is, build, estimator

BOUNDS = ClipMask(low=0.25, high=0.5)


def stable(mask, ratio, advantage):
    """Return the mask's weight of single tokens with these ratios and advantages."""
    ratio, advantage = (torch.tensor([values], dtype=torch.float64) for values in (ratio, advantage))
    kept = torch.ones(ratio.shape, dtype=torch.bool)
    batch = TokenBatch(kept, torch.zeros(1, dtype=torch.long), torch.tensor([False]), torch.ones(1))
    return mask(ratio, advantage, PolicyTokens(ratio.log()), batch)[0].tolist()


@pytest.mark.parametrize(
    ("ratio", "advantage", "kept"),
    [
        (1.5, 1.0, 1), (1.5000001, 1.0, 0), (1.5000001, -1.0, 1), (9.0, 1e-9, 0), (0.1, 1.0, 1),
        (0.75, -1.0, 1), (0.7499999, -1.0, 0), (0.7499999, 1.0, 1), (0.0, -1e-9, 0), (9.0, -1.0, 1),
        (9.0, 0.0, 1), (0.1, 0.0, 1), (1.0, 1.0, 1), (1.0, -1.0, 1),
    ],
)  # fmt: skip
def test_a_token_is_dropped_only_beyond_the_bound_its_advantage_pushes_to(ratio, advantage, kept):
    assert stable(BOUNDS, [ratio], [advantage]) == [kept]


def test_keep_all_keeps_every_ratio():
    assert stable(KeepAll(), [0.0, 1.0, 1e9], [1.0, -1.0, 1.0]) == [1, 1, 1]


def test_each_bound_is_its_own():
    assert stable(ClipMask(low=0.5, high=0.1), [1.2, 0.6, 0.4], [1.0, -1.0, -1.0]) == [0, 1, 0]


def ratio_of(row):
    return (row.logp - row.old).exp()


def min_clip(ratio, credit, low, high):
    return torch.minimum(ratio * credit, ratio.clamp(1 - low, 1 + high) * credit)


def assert_bounds(mask, textbook):
    """Compare with an objective that is a function of the ratio and the advantage."""
    parts = estimator(mask, BehaviorPolicy(), TokenLikelihood())
    assert_is(parts, lambda row: textbook(ratio_of(row), row.credit), build())


def test_a_clip_mask_is_the_derivative_of_the_min_clip():
    assert_bounds(ClipMask(0.2, 0.4), lambda ratio, credit: min_clip(ratio, credit, 0.2, 0.4))


def test_keep_all_is_the_derivative_of_the_importance_weighted_advantage():
    assert_bounds(KeepAll(), lambda ratio, credit: ratio * credit)


@pytest.mark.parametrize("dual", [1.0, 1.1, 3.0])
def test_a_dual_clip_bounds_the_loss_of_a_negative_advantage(dual):
    def objective(ratio, credit):
        clipped = min_clip(ratio, credit, 0.2, 0.3)
        return torch.where(credit < 0, torch.maximum(clipped, dual * credit), clipped)

    assert_bounds(DualClipMask(0.2, 0.3, dual), objective)


@pytest.mark.parametrize("delta", [0.0, 0.5, 0.9, 1.1, 1.4, 4.0])
def test_a_two_sided_clip_is_exact_for_any_delta(delta):
    def objective(ratio, credit):
        clipped = ratio.clamp(0.8, 1.3)
        return torch.minimum(ratio.clamp(max=delta) * credit, clipped * credit)

    assert_bounds(TwoSidedClipMask(0.2, 0.3, delta), objective)


@pytest.mark.parametrize(("low", "high"), [(0.5, 2.0), (None, 1.2), (0.7, None)])
def test_a_band_holds_for_either_sign_of_the_advantage(low, high):
    assert_bounds(BoundMask(low, high), lambda ratio, credit: ratio.clamp(low, high) * credit)


@pytest.mark.parametrize(
    ("mask", "kept"),
    [
        (DualClipMask(0.25, 0.5, 2.0), [1, 1, 0, 1, 1, 0, 1]),
        (TwoSidedClipMask(0.25, 0.5, 2.0), [1, 1, 0, 1, 1, 0, 1]),
        (BoundMask(0.75, 1.5), [1, 0, 0, 0, 1, 0, 1]),
    ],
)
def test_bounds_themselves_are_kept(mask, kept):
    ratios = [1.5, 2.0, 2.0000001, 9.0, 0.75, 0.7499999, 1.0]
    advantages = [1.0, -1.0, -1.0, 0.0, -1.0, -1.0, 1.0]
    assert stable(mask, ratios, advantages) == kept


def test_a_ratio_that_is_no_number_is_not_hidden_by_any_bound():
    masks = [ClipMask(), DualClipMask(), TwoSidedClipMask(), BoundMask(0.5, 2.0)]
    assert [stable(mask, [float("nan")], [1.0]) for mask in masks] == [[1]] * 4


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DualClipMask(dual=0.9), r"DualClipMask.dual=0.9 must be a finite number in \[1.0, inf\]"),
        (lambda: DualClipMask(low=1.1), r"DualClipMask.low=1.1 must be a finite number in \[0.0, 1.0\]"),
        (lambda: TwoSidedClipMask(delta=-1.0), "TwoSidedClipMask.delta=-1.0 must be"),
        (lambda: TwoSidedClipMask(high=float("nan")), "TwoSidedClipMask.high=nan must be"),
        (lambda: BoundMask(), "BoundMask without low and high bounds nothing; give one, or use KeepAll"),
        (lambda: BoundMask(2.0, 1.0), "BoundMask.low=2.0 is above high=1.0"),
        (lambda: BoundMask(-0.5), "BoundMask.low=-0.5 must be"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
