"""What holds of every advantage: it is a function of the rows alone, finite, and 0 outside the response."""

import dataclasses

import pytest
import torch

from core import (
    ActiveScaled,
    BatchScaled,
    ClippedReward,
    Constant,
    Gae,
    GreedyBaseline,
    GroupRelative,
    LeaveOneOut,
    OptimalBaseline,
    Outcome,
    PenalizedByKl,
    Precomputed,
    RewardToGo,
    TotalReward,
    Whitened,
)
from tests.core.steps import for_any_seed, padded, random_step, renumbered, shuffled

CENTERED = GroupRelative(normalize_std=False)
PARTS = [
    Constant(0.3), Outcome(), TotalReward(), GroupRelative(), LeaveOneOut(), OptimalBaseline(),
    GreedyBaseline(), RewardToGo(0.9), Gae(0.95, 0.8), Whitened(Gae(0.95, 0.8)),
    Whitened(RewardToGo(), rows="all"), Whitened(LeaveOneOut(), "rows", 1e-4, epsilon_on="std"),
    BatchScaled(CENTERED), ActiveScaled(CENTERED), ActiveScaled(CENTERED, "rewarded"),
    PenalizedByKl(LeaveOneOut(), 0.1), PenalizedByKl(RewardToGo(), 0.1),
    ClippedReward(PenalizedByKl(Gae(), 0.1), 0.2, 0.6), PenalizedByKl(ClippedReward(Gae(), 0.2, 0.6), 0.1),
]  # fmt: skip
every_part = pytest.mark.parametrize("part", PARTS, ids=repr)


def same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)


@every_part
@for_any_seed
def test_it_is_finite_and_zero_outside_the_response(part, seed):
    for by_token in (False, True):
        step = random_step(seed, by_token=by_token)
        found = part(step)
        assert found.isfinite().all()
        assert not found[~step.response_mask].any()


@every_part
@for_any_seed
def test_order_padding_and_numbers_of_questions_do_not_matter(part, seed):
    step = random_step(seed, by_token=bool(seed % 2))
    found = part(step)
    other, order = shuffled(step, seed)
    same(part(other), found[order])
    same(part(renumbered(step)), found)
    same(part(padded(step)), torch.nn.functional.pad(found, (2, 3)))


@every_part
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_keeps_the_rewards_dtype_and_modifies_nothing(part, dtype):
    step = random_step(4, dtype=dtype)
    assert part(step).dtype == dtype
    untouched = dict(random_step(4, dtype=dtype).tensors())
    assert all(torch.equal(t.nan_to_num(7), untouched[name].nan_to_num(7)) for name, t in step.tensors())


@every_part
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_steps_of_few_rows_and_of_no_tokens_are_no_exception(part, rows):
    step = random_step(1, rows=rows, tokens=3)
    assert part(step).isfinite().all()
    assert part(random_step(1, rows=rows, tokens=0)).shape == (rows, 0)
    empty = dataclasses.replace(step, response_mask=torch.zeros_like(step.response_mask))
    assert not part(empty).any()


@for_any_seed
def test_whatever_is_unknown_of_demonstrations_reaches_no_rollout(seed):
    step = random_step(seed)
    taught = step.is_demonstration[:, None]
    unknown = {
        name: torch.where(taught, torch.nan, getattr(step, name))
        for name in ("behavior_logp", "reference_logp", "value")
    }
    garbled = dataclasses.replace(step, **unknown)
    for part in (Whitened(Gae(0.95, 0.8)), PenalizedByKl(LeaveOneOut(), 0.1)):
        same(part(garbled)[~step.is_demonstration], part(step)[~step.is_demonstration])
    assert PenalizedByKl(LeaveOneOut(), 0.1)(garbled).isfinite().all()


def test_given_advantages_are_read_inside_the_response_only():
    step = random_step(3)
    given_ = torch.where(step.response_mask, 2.5, torch.nan).double()
    found = Precomputed()(dataclasses.replace(step, advantage=given_))
    assert torch.equal(found, torch.where(step.response_mask, 2.5, 0.0).double())
    with pytest.raises(ValueError, match="Precomputed reads advantage"):
        Precomputed()(step)
