"""No step makes a gradient NaN: empty selections, equal rewards, lone rows, wild ratios, empty responses."""

import pytest
import torch

from core import PolicyTokens, surrogate
from tests.conformance.registry import stages
from tests.worlds import build_world, gradient

pytestmark = pytest.mark.parametrize("algorithm", stages())

STEPS = {
    "no demonstrations": [(1, 1.0, False), (1, 0.0, False), (2, 0.0, False), (2, 1.0, False)],
    "no demonstrations, everything gated": [(1, 0.0, False), (1, 0.0, False), (2, 0.0, False)],
    "nothing gated": [(1, 1.0, False), (1, 1.0, False), (1, 1.0, True)],
    "all rewards equal, and not dyadic": [(1, 0.1, False)] * 3 + [(2, 0.7, False)] * 7 + [(2, 1.0, True)],
    "single rows": [(1, 1.0, False), (2, 0.0, False), (3, 0.5, False)],
    "one row": [(1, 0.0, False)],
    "one solved row": [(1, 1.0, False)],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", STEPS.values(), ids=STEPS)
def test_gradient_is_finite_on(algorithm, rows, dtype):
    world = build_world(tuple(rows), tuple(3 + i % 2 for i in range(len(rows))), dtype)
    assert gradient(algorithm, world).isfinite().all()


def test_a_step_without_anything_to_train_still_gives_an_attached_loss_with_zero_gradient(algorithm):
    world = build_world(((1, 1.0, False), (1, 1.0, True)), (0, 0))
    logp, entropy, value = (torch.full((2, 6), -1.0, requires_grad=True) for _ in range(3))
    plan, policy = algorithm.plan(world.step), PolicyTokens(logp, entropy, value)
    assert plan.idle().all()
    loss = surrogate(plan.coefficients(policy, world.step), policy, world.step)
    loss.backward()
    assert loss == 0.0
    assert not logp.grad.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_with_an_empty_response_are_idle_and_finite(algorithm, dtype):
    rows = ((1, 1.0, False), (1, 0.0, False), (1, 1.0, True), (2, 0.0, False), (2, 1.0, True))
    world = build_world(rows, (0, 3, 0, 2, 4), dtype)
    assert algorithm.plan(world.step).idle()[[0, 2]].all()
    found = gradient(algorithm, world)
    assert found.isfinite().all()
    assert not found[[0, 2]].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_ratios_of_eighty_in_both_directions_give_a_finite_gradient(algorithm, dtype):
    world = build_world(dtype=dtype)
    up = (torch.arange(6) % 2 == 0).expand(len(world.logits), 6)
    logp = torch.where(up, -1.0, -81.0).to(dtype).requires_grad_()
    entropy = torch.ones_like(logp).detach().requires_grad_()
    other = torch.where(up, -81.0, -1.0).to(dtype)
    step = world.step_with(behavior_logp=other, reference_logp=other, sampler_logp=other.flip(1)).step
    policy = PolicyTokens(logp, entropy, world.critic)
    loss = surrogate(algorithm.plan(step).coefficients(policy, step), policy, step)
    loss.backward()
    assert loss.isfinite()
    assert logp.grad.isfinite().all()
    assert logp.grad.any()


def test_ratios_that_overflow_in_rows_without_gradient_do_no_harm(algorithm, world):
    plan = algorithm.plan(world.step)
    behavior = torch.where(plan.idle()[:, None], -5000.0, world.step.behavior_logp)
    found = gradient(algorithm, world.step_with(behavior_logp=behavior))
    assert found.equal(gradient(algorithm, world))


def test_a_log_prob_that_is_nan_inside_the_response_is_not_hidden(algorithm, world):
    plan = algorithm.plan(world.step)
    row = int(torch.nonzero(~plan.idle()).flatten()[0])
    token = int(torch.nonzero(world.step.response_mask[row]).flatten()[0])
    logp = torch.full_like(world.step.behavior_logp, -1.0)
    logp[row, token] = torch.nan
    policy = PolicyTokens(logp, torch.ones_like(logp), world.critic)
    assert surrogate(plan.coefficients(policy, world.step), policy, world.step).isnan()
