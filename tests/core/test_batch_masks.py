import dataclasses
import math
import statistics

import pytest
import torch

from core import (
    AllOf,
    AnyOf,
    BehaviorPolicy,
    ClipCovariance,
    ClipMask,
    Demonstrations,
    FixedLengthSum,
    GroupRelative,
    KlPenalty,
    PolicyGradient,
    Rollouts,
    Term,
    TokenBatch,
    TokenLikelihood,
    TopCovariance,
    TopEntropy,
    needs_of,
)
from core.picking import content_hash
from tests.core.steps import padded, random_step, renumbered, shuffled
from tests.core.tokenwise import assert_is, build, estimator

TOP = [TopEntropy(0.3), TopEntropy(0.3, "row"), ClipCovariance(-0.5, 0.5, 0.2), TopCovariance(0.25)]


def row_of(**tokens):
    """Return one row with these values at its tokens, in float64."""
    values = {name: torch.tensor([value], dtype=torch.float64) for name, value in tokens.items()}
    width = len(next(iter(tokens.values())))
    return TokenBatch(
        response_mask=torch.ones(1, width, dtype=torch.bool),
        group=torch.zeros(1, dtype=torch.long),
        is_demonstration=torch.tensor([False]),
        reward=torch.ones(1, dtype=torch.float64),
        **values,
    )


def kept(mask, step, advantage=None):
    advantage = torch.zeros(step.response_mask.shape, dtype=torch.float64) if advantage is None else advantage
    return mask.plan(step, advantage)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        # Places (1 − share) · 4 among 0, 1, 2, 3, 4: 0, 2, 2.4, 3.2, 4.
        (1.0, [1, 1, 1, 1, 1]),
        (0.5, [0, 1, 1, 0, 1]),
        (0.4, [0, 1, 0, 0, 1]),
        (0.2, [0, 1, 0, 0, 0]),
        (0.0, [0, 1, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("within", ["step", "row"])
def test_the_most_undecided_tokens_are_those_at_or_above_the_quantile(share, expected, within):
    step = row_of(current_entropy=[1.0, 4.0, 2.0, 0.0, 3.0])
    assert kept(TopEntropy(share, within), step).tolist() == [expected]


def test_a_share_that_ends_at_a_token_keeps_it_though_its_place_is_rounded():
    # (1 − 0.7) · 10 rounds to more than 3, and a threshold above entropy 3 would drop its token.
    for share, count in ((0.7, 11), (0.41, 101), (0.58, 51), (0.85, 21), (0.2, 41)):
        step = row_of(current_entropy=[float(i) for i in range(count)])
        assert kept(TopEntropy(share), step).sum() == round(share * (count - 1)) + 1


def test_equal_entropies_are_all_kept():
    assert kept(TopEntropy(0.2), row_of(current_entropy=[0.1] * 7)).all()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.93])
def test_the_quantile_is_that_of_the_standard_library(share):
    step = random_step(4)
    values = step.current_entropy[step.response_mask].tolist()
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    threshold = cuts[round((1 - share) * 100) - 1]
    wanted = step.response_mask & (torch.nan_to_num(step.current_entropy, nan=-9.0) >= threshold)
    assert kept(TopEntropy(share), step).bool().equal(wanted)


def test_within_rows_each_row_has_its_own_quantile():
    step = random_step(5)
    found = kept(TopEntropy(0.4, "row"), step)
    for row in range(len(step.group)):
        alone = step.rows(torch.tensor([row]))
        assert kept(TopEntropy(0.4, "step"), alone)[0].equal(found[row])
    assert not found.equal(kept(TopEntropy(0.4, "step"), step))


def products(step, advantage):
    """Return (Â − mean)(log p − mean) of each token in the response, by row and column."""
    inside = [tuple(place) for place in step.response_mask.nonzero().tolist()]
    credit = statistics.mean(float(advantage[place]) for place in inside)
    logp = statistics.mean(float(step.current_logp[place]) for place in inside)
    return {
        place: (float(advantage[place]) - credit) * (float(step.current_logp[place]) - logp)
        for place in inside
    }


@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_top_covariance_keeps_the_share_with_the_largest_products(share, seed):
    step = random_step(seed)
    advantage = torch.randn(step.response_mask.shape, generator=torch.Generator().manual_seed(seed)).double()
    values = products(step, advantage)
    count = max(int(share * len(values)), 1)
    largest = sorted(values, key=values.get, reverse=True)[:count]
    found = kept(TopCovariance(share), step, advantage)
    assert sorted(tuple(place) for place in found.nonzero().tolist()) == sorted(largest)


@pytest.mark.parametrize("seed", range(3))
def test_clip_covariance_with_share_one_drops_the_whole_band_but_what_the_clip_drops(seed):
    step = random_step(seed)
    advantage = torch.randn(step.response_mask.shape, generator=torch.Generator().manual_seed(seed)).double()
    seen = {"dropped": 0, "clipped": 0, "outside": 0}
    found = kept(ClipCovariance(0.1, 1.0, 1.0, 0.2, 0.3), step, advantage)
    for place, value in products(step, advantage).items():
        ratio = math.exp(float(step.current_logp[place]) - float(step.behavior_logp[place]))
        clipped = ratio > 1.3 if advantage[place] > 0 else ratio < 0.8
        kind = "outside" if not 0.1 < value < 1.0 else "clipped" if clipped else "dropped"
        seen[kind] += 1
        assert found[place] == (kind != "dropped")
    assert all(seen.values()), seen
    assert (found[~step.response_mask] == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_clip_covariance_draws_its_share_of_all_tokens_from_the_band(share):
    step = random_step(11, rows=40, tokens=12)
    advantage = torch.randn(step.response_mask.shape, generator=torch.Generator().manual_seed(0)).double()
    total = int(step.response_mask.sum())
    dropped = kept(ClipCovariance(-9.0, 9.0, share), step, advantage) == 0
    band = kept(ClipCovariance(-9.0, 9.0, 1.0), step, advantage) == 0
    assert dropped.sum() == max(int(share * total), 1)
    assert not (dropped & ~band).any()


def test_the_draw_changes_with_the_policy_and_favors_no_place():
    def drawn(shift):
        step = random_step(11, rows=60, tokens=12)
        step = dataclasses.replace(
            step, current_logp=step.current_logp + shift, behavior_logp=step.current_logp
        )
        advantage = torch.randn(step.response_mask.shape, generator=torch.Generator().manual_seed(0)).double()
        return (kept(ClipCovariance(-99.0, 99.0, 0.25), step, advantage) == 0).double()

    first, second = drawn(0.0), drawn(1e-6)
    assert not first.equal(second)
    # Binomial with about 45 of 60 tokens a column and p = 1/4: four standard deviations are 0.26.
    inside = random_step(11, rows=60, tokens=12).response_mask.sum(dim=0)
    shares = torch.stack([first, second]).mean(dim=0).sum(dim=0) / inside
    assert ((shares - 0.25).abs() < 0.26).all()


def test_tokens_alike_in_rows_that_differ_elsewhere_have_different_hashes():
    step = row_of(current_logp=[-1.0, -2.0, -2.0]).rows(torch.tensor([0, 0, 0]))
    logp = step.current_logp + torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1e-9], [0.0, 0.0, 0.0]])
    hashes = content_hash(logp, step)
    assert hashes[0].equal(hashes[2])
    assert torch.unique(hashes).numel() == 6


def test_hashes_are_spread_over_all_bits():
    step = random_step(2, rows=400, tokens=20)
    hashes = content_hash(step.require("current_logp", None), step)[step.response_mask]
    assert torch.unique(hashes).numel() == hashes.numel()
    for bit in range(64):
        share = ((hashes >> bit) & 1).double().mean()
        assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(hashes.numel()), bit


def test_where_all_products_are_equal_only_the_share_is_taken():
    step = random_step(11, rows=40, tokens=12)
    constant = torch.ones(step.response_mask.shape, dtype=torch.float64)
    total = int(step.response_mask.sum())
    assert kept(TopCovariance(0.1), step, constant).sum() == int(0.1 * total)


def test_rows_that_are_the_same_are_treated_the_same():
    step = random_step(3)
    twice = step.rows(torch.arange(len(step.group)).repeat(2))
    for mask in TOP:
        found = kept(mask, twice, twice.require("value", mask))
        assert found[: len(step.group)].equal(found[len(step.group) :])


@pytest.mark.parametrize("mask", TOP)
def test_row_order_padding_and_question_numbers_do_not_matter(mask):
    for seed in range(20):
        step = random_step(seed)
        # Halves: their sums, and so the means, are the same in any order.
        step = dataclasses.replace(
            step, current_logp=(step.current_logp * 8).round() / 8, value=(step.value * 8).round() / 8
        )
        found = kept(mask, step, step.require("value", mask))
        inside = step.response_mask
        other, order = shuffled(step, seed)
        assert kept(mask, other, other.require("value", mask)).equal(found[order])
        wide = padded(step)
        assert kept(mask, wide, wide.require("value", mask))[wide.response_mask].equal(found[inside])
        assert kept(mask, renumbered(step), step.require("value", mask)).equal(found)


@pytest.mark.parametrize("mask", TOP)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_step_without_tokens_is_planned_too(mask, dtype):
    step = random_step(1, dtype=dtype)
    empty = dataclasses.replace(step, response_mask=torch.zeros_like(step.response_mask))
    found = kept(mask, empty, torch.zeros_like(step.value))
    assert found.isfinite().all()
    assert found.dtype == dtype


@pytest.mark.parametrize("mask", TOP)
def test_plans_have_the_dtype_of_the_rewards(mask):
    step = random_step(1)
    single = dataclasses.replace(step, reward=step.reward.float())
    assert kept(mask, single, step.require("value", mask).float()).dtype == torch.float32


def test_shares_are_taken_of_the_tokens_that_the_term_trains_on():
    step = random_step(8, rows=20)
    estimate = PolicyGradient(TopEntropy(0.3), BehaviorPolicy(), GroupRelative(), TokenLikelihood())
    both = AnyOf((Rollouts(), Demonstrations()))
    of_rollouts, of_all = (
        Term("t", estimate, rows, FixedLengthSum(1)).plan(step) for rows in (Rollouts(), both)
    )
    rollouts = dataclasses.replace(step, response_mask=step.response_mask & ~step.is_demonstration[:, None])
    wanted = kept(TopEntropy(0.3), rollouts)
    assert of_rollouts.stable.equal(wanted)
    assert of_all.stable.equal(kept(TopEntropy(0.3), step))
    assert not of_all.stable.equal(of_rollouts.stable)


def test_what_is_planned_multiplies_the_clip():
    rows = build()
    drawn = AllOf((ClipMask(0.2, 0.3), TopEntropy(0.5)))
    held = iter(
        kept(TopEntropy(0.5), rows.batch)[i][m] for i, m in enumerate(rows.batch.response_mask) if m.any()
    )

    def textbook(row):
        ratio = (row.logp - row.old).exp()
        return torch.minimum(ratio * row.credit, ratio.clamp(0.8, 1.3) * row.credit) * next(held)

    assert_is(estimator(drawn, BehaviorPolicy(), TokenLikelihood()), textbook, rows)


def test_clip_covariance_holds_the_min_clip_elsewhere():
    rows = build()
    mask = ClipCovariance(0.1, 9.0, 1.0, 0.2, 0.3)
    plan = kept(mask, rows.batch, rows.advantage)
    assert 0 < plan[rows.batch.response_mask].sum() < rows.batch.response_mask.sum()
    held = iter(plan[i][m] for i, m in enumerate(rows.batch.response_mask) if m.any())

    def textbook(row):
        ratio = (row.logp - row.old).exp()
        return torch.minimum(ratio * row.credit, ratio.clamp(0.8, 1.3) * row.credit) * next(held)

    assert_is(estimator(mask, BehaviorPolicy(), TokenLikelihood()), textbook, rows)


def test_the_mask_of_a_penalty_brings_its_own_advantage():
    step = random_step(6)
    own = TopCovariance(0.2, GroupRelative())
    assert kept(own, step).equal(kept(TopCovariance(0.2), step, GroupRelative()(step)))
    assert needs_of(own) == {"current_logp", "rollouts"}
    assert (
        KlPenalty(1.0, Rollouts(), FixedLengthSum(1), "abs", "behavior", mask=own).plan(step).stable
        is not None
    )


def test_what_is_read_when_the_step_is_planned_is_declared():
    for mask in TOP:
        step = random_step(0)
        named = {name: getattr(step, name) for name in needs_of(mask, phase="plan_needs")}
        assert named
        lean = TokenBatch(step.response_mask, step.group, step.is_demonstration, step.reward, **named)
        advantage = step.require("value", mask)
        assert kept(mask, lean, advantage).equal(kept(mask, step, advantage))
        for name in named:
            with pytest.raises(ValueError, match=f"reads {name}"):
                kept(mask, dataclasses.replace(lean, **{name: None}), advantage)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TopEntropy(1.2), r"TopEntropy.share=1.2 must be a finite number in \[0.0, 1.0\]"),
        (lambda: TopCovariance(-0.1), "TopCovariance.share=-0.1 must be"),
        (lambda: ClipCovariance(5.0, 1.0), "ClipCovariance.low=5.0 is above high=1.0"),
        (lambda: ClipCovariance(share=2.0), "ClipCovariance.share=2.0 must be"),
        (lambda: ClipCovariance(clip_low=1.5), "ClipCovariance.clip_low=1.5 must be"),
        (lambda: ClipCovariance(clip_high=-0.5), "ClipCovariance.clip_high=-0.5 must be"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
