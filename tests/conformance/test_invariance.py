"""A step's gradient depends on its rows alone: not on how they are split, ordered, padded or numbered."""

import dataclasses

import pytest
import torch
from torch.nn.functional import pad

from core import ClipCovariance, TopCovariance, Whitened
from core.needs import needs_of, parts_of
from core.pairs import takes_demonstrations
from tests.conformance.registry import one_term, stages
from tests.worlds import PER_TOKEN, World, assert_same, build_world, gradient

# Parts whose statistics are those of all questions of the step.
ACROSS_QUESTIONS = (ClipCovariance, TopCovariance, Whitened)

pytestmark = pytest.mark.parametrize("algorithm", stages())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_micro_batches_do_not_change_the_gradient(algorithm, world, count):
    parts = torch.arange(len(world.logits)).chunk(count)
    assert len(parts) == count
    assert_same(gradient(algorithm, world, parts), gradient(algorithm, world))


@pytest.mark.parametrize("size", [1, 5])
def test_micro_batches_of_rows_in_any_order_do_not_change_the_gradient(algorithm, world, size):
    order = torch.randperm(len(world.logits), generator=torch.Generator().manual_seed(1))
    assert_same(gradient(algorithm, world, order.split(size)), gradient(algorithm, world))


def test_row_order_does_not_change_the_gradient(algorithm, world):
    order = torch.randperm(len(world.logits), generator=torch.Generator().manual_seed(2))
    assert_same(gradient(algorithm, world.rows(order)), gradient(algorithm, world)[order])


def test_padding_does_not_change_the_gradient(algorithm, world):
    wide = ("response_mask", "prefix_mask", *PER_TOKEN)
    step = dataclasses.replace(world.step, **{f: pad(getattr(world.step, f), (0, 5)) for f in wide})
    padded = World(
        step,
        pad(world.logits, (0, 0, 0, 5), value=0.3),
        pad(world.actions, (0, 5)),
        pad(world.critic, (0, 5), value=0.7),
    )
    found = gradient(algorithm, padded)
    assert_same(found[:, :-5], gradient(algorithm, world))
    assert not found[:, -5:].any()


@pytest.mark.parametrize("value", [-7.0, 1e300, float("-inf"), float("nan")])
def test_what_stands_outside_the_response_mask_does_not_matter(algorithm, world, value):
    mask = world.step.response_mask
    garbage = torch.full_like(world.step.behavior_logp, value)
    scrambled = world.step_with(
        **{field: torch.where(mask, getattr(world.step, field), garbage) for field in PER_TOKEN},
        prefix_mask=world.step.prefix_mask | ~mask,
    )
    for kept in (scrambled, dataclasses.replace(scrambled, garbage=garbage)):
        assert_same(gradient(algorithm, kept), gradient(algorithm, world))


def test_masked_tokens_get_exactly_no_gradient(algorithm, world):
    found = gradient(algorithm, world)
    assert not found[~world.step.response_mask].any()


def test_the_numbers_of_the_questions_do_not_matter(algorithm, world):
    renumbered = world.step_with(group=world.step.group**2 + 11)
    assert_same(gradient(algorithm, renumbered), gradient(algorithm, world))


def test_idle_rows_get_exactly_no_gradient_and_may_be_left_out(algorithm, world):
    plan = algorithm.plan(world.step)
    whole, idle = gradient(algorithm, world), plan.idle()
    assert not whole[idle].any()
    assert_same(gradient(algorithm, world, [torch.nonzero(~idle).flatten()], plan), whole)


def test_rows_that_are_not_idle_get_a_gradient_where_nothing_is_clipped(algorithm, world):
    # Ratios of almost 1 (at 1, a divergence from the behavior policy has none): what the plan keeps has one.
    world = world.step_with(behavior_logp=world.step.behavior_logp * 0 + _logp(world) - 1e-5)
    got = gradient(algorithm, world).flatten(1).any(dim=1)
    assert got.equal(~algorithm.plan(world.step).idle())


def _logp(world):
    return world.logits.log_softmax(-1).gather(-1, world.actions[..., None])[..., 0]


def test_the_behavior_log_probs_of_demonstrations_matter_only_to_terms_that_train_on_them(algorithm, world):
    other = torch.where(world.step.is_demonstration[:, None], -7.0, world.step.behavior_logp)
    found = gradient(algorithm, world.step_with(behavior_logp=other))
    trained = [
        term.estimator
        for term in algorithm.terms
        if takes_demonstrations(term.rows) and hasattr(term, "estimator")
    ]
    if "behavior_logp" in needs_of(*trained):
        assert not torch.allclose(found, gradient(algorithm, world))
    else:
        assert_same(found, gradient(algorithm, world))


def test_other_questions_that_give_no_gradient_change_only_the_normaliser(algorithm, world):
    # A question more of each kind: the gradient of the old rows is a multiple of what it was, term by term.
    rows = ((99, 1.0, False), (99, 0.0, False), (99, 1.0, True))
    base = world.rows(torch.arange(len(world.logits)))
    more = build_world(rows, (3, 2, 4))
    added = dict(more.step.tensors())
    step = dataclasses.replace(
        base.step, **{name: torch.cat([tensor, added[name]]) for name, tensor in base.step.tensors()}
    )
    leaves = ("logits", "actions", "critic")
    joined = World(step, *(torch.cat([getattr(base, leaf), getattr(more, leaf)]) for leaf in leaves))
    for term in algorithm.terms:
        before = one_term(term, base)
        if before.any():
            after = one_term(term, joined)[: len(base.logits)]
            scale = (before * after).sum() / (before * before).sum()
            if not any(isinstance(part, ACROSS_QUESTIONS) for part in parts_of(term)):
                assert_same(after, scale * before, rtol=1e-9)
