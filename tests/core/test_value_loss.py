import dataclasses
import math

import pytest
import torch

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    ClippedReward,
    FixedLengthSum,
    Gae,
    GroupRelative,
    PenalizedByKl,
    PolicyGradient,
    PolicyTokens,
    RewardToGo,
    Rollouts,
    SampledTokens,
    SequenceMean,
    Term,
    TokenLikelihood,
    TokenMean,
    ValueLoss,
    Whitened,
    surrogate,
)
from core.needs import needs_of
from tests.core.batches import batch
from tests.core.steps import for_any_seed, random_step

GAE = Gae(0.95, 0.9)


def actor(advantage):
    estimator = PolicyGradient(ClipMask(), BehaviorPolicy(), advantage, TokenLikelihood())
    return Term("reinforce", estimator, Rollouts(), TokenMean())


def critic_step(values, old, rewards=(1.0,)):
    """Return one-token responses with these values before them; the returns are the rewards."""
    count = len(values)
    step = batch(list(rewards) * (count // len(rewards)), lengths=[1] * count)
    old = torch.tensor(old, dtype=torch.float64)[:, None].expand(count, 2)
    new = torch.tensor(values, dtype=torch.float64)[:, None].repeat(1, 2).requires_grad_()
    return dataclasses.replace(step, value=old), PolicyTokens(torch.zeros(count, 2).double(), value=new)


def learned(term, step, policy):
    """Return the gradient by the values and the loss, of a step of this term alone."""
    plan = term.plan(step)
    found = (term.coefficients(plan, policy, step),)
    loss = surrogate(found, policy, step)
    return torch.autograd.grad(loss, policy.value)[0], -term.objective(plan, policy, step)


def test_the_squared_error_worked_by_hand():
    # V − R is −1 and 2 against a return of 1; half the squares are ½ and 2, their mean times 3 is 3.75.
    step, policy = critic_step([0.0, 3.0], [0.0, 0.0])
    found, loss = learned(ValueLoss(RewardToGo(), 3.0, Rollouts(), TokenMean()), step, policy)
    assert found[:, 0].tolist() == [-1.5, 3.0]
    assert loss == 3.75


@pytest.mark.parametrize(
    ("value", "old", "slope", "loss"),
    [
        (1.4, 1.0, 0.4, 0.08),  # inside the range: as without it
        (3.0, 1.0, 2.0, 2.0),  # moved away, so the plain error is the larger
        (0.5, -1.0, 0.0, 1.125),  # moved towards the return, but too far: ½ (−0.5 − 1)² and no gradient
        (1.5, 3.0, 0.0, 1.125),  # the same from above: clipped to 2.5
        (2.0, -2.0, 0.0, 3.125),  # beyond the return by 1, clipped to −1.5, which is farther: no gradient
    ],
)
def test_the_clip_worked_by_hand(value, old, slope, loss):
    step, policy = critic_step([value], [old])
    found = learned(ValueLoss(RewardToGo(), 1.0, Rollouts(), TokenMean(), clip=0.5), step, policy)
    assert found[0][0, 0].item() == pytest.approx(slope)
    assert found[1].item() == pytest.approx(loss)


def test_a_value_within_the_clip_keeps_its_gradient_however_its_distance_is_rounded():
    # In some of these, old + (value − old) is another number than value: no clip must come of that.
    old = [0.3 * math.sin(k) for k in range(40)]
    values = [0.3 * math.sin(3 * k + 1) for k in range(40)]
    step, policy = critic_step(values, old, rewards=(0.0,))
    found, _ = learned(ValueLoss(RewardToGo(), 1.0, Rollouts(), TokenMean(), clip=0.7), step, policy)
    assert found[:, 0].tolist() == pytest.approx([value / 40 for value in values])


@for_any_seed
@pytest.mark.parametrize("clip", [None, 0.4])
def test_gradient_and_loss_are_those_of_the_textbook_loss(seed, clip):
    step = random_step(seed)
    generator = torch.Generator().manual_seed(seed)
    moved = step.value + torch.randn(step.value.shape, generator=generator).double()
    value = moved.detach().requires_grad_()
    policy = PolicyTokens(torch.zeros_like(value).detach(), value=value)
    found, loss = learned(ValueLoss(GAE, 0.7, Rollouts(), FixedLengthSum(3), clip), step, policy)
    counted = step.response_mask & ~step.is_demonstration[:, None]
    new, old = (torch.where(counted, v, 0.0) for v in (value, step.value))
    target = GAE.returns(step)
    squares = (new - target) ** 2
    if clip is not None:
        near = torch.minimum(torch.maximum(new, old - clip), old + clip)
        squares = torch.maximum(squares, (near - target) ** 2)
    expected = 0.7 * torch.where(counted, squares / 2, 0.0).sum() / 3
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found, torch.autograd.grad(expected, value)[0], rtol=1e-12, atol=1e-14)


@for_any_seed
def test_within_the_range_no_rounding_takes_the_gradient(seed):
    step = random_step(seed, rows=20)
    generator = torch.Generator().manual_seed(seed)
    moved = step.value + torch.rand(step.value.shape, generator=generator, dtype=torch.float64)
    policy = PolicyTokens(torch.zeros_like(moved), value=moved.detach().requires_grad_())
    whole = ValueLoss(GAE, 1.0, Rollouts(), TokenMean())
    found = learned(dataclasses.replace(whole, clip=2.0), step, policy)
    assert torch.equal(found[0], learned(whole, step, policy)[0])


def test_the_returns_are_fixed_when_the_step_is_planned():
    step, _ = critic_step([0.0], [0.0])
    plan = ValueLoss(GAE, 1.0, Rollouts(), TokenMean()).plan(step)
    assert torch.equal(plan.target, GAE.returns(step))
    assert (plan.advantage == step.response_mask).all()


def test_tokens_that_the_critic_does_not_train_on_get_no_gradient():
    step, policy = critic_step([0.0, 0.0], [0.0, 0.0])
    given_ = torch.tensor([[True, True], [False, False]])
    step = dataclasses.replace(step, prefix_mask=given_, is_demonstration=torch.tensor([False, False]))
    found, _ = learned(
        ValueLoss(RewardToGo(), 1.0, Rollouts(), SequenceMean(), tokens=SampledTokens()), step, policy
    )
    assert found[:, 0].tolist() == [0.0, -0.5]


def test_ppo_with_rewards_lowered_by_kl_trains_its_critic_on_the_lowered_returns():
    gae = PenalizedByKl(GAE, 0.1)
    algorithm = Algorithm(
        "ppo", (actor(Whitened(gae)), ValueLoss(gae, 1.0, Rollouts(), TokenMean(), clip=0.2))
    )
    step = random_step(8)
    plan = algorithm.plan(step)
    assert torch.equal(plan.plans[1].target, gae.returns(step))
    assert not torch.allclose(plan.plans[1].target, GAE.returns(step))
    assert {"value", "behavior_logp", "reference_logp"} <= algorithm.plan_needs


def test_a_critic_that_nobody_reads_and_values_that_nobody_trains_are_refused():
    critic = ValueLoss(GAE, 1.0, Rollouts(), TokenMean())
    assert Algorithm("ppo", (actor(GAE), critic)).needs >= {"value"}
    with pytest.raises(ValueError, match="no term trains the critic"):
        Algorithm("ppo", (actor(Whitened(GAE)),))
    with pytest.raises(ValueError, match="trains a critic that no term reads"):
        Algorithm("ppo", (actor(GroupRelative()), critic))


def test_a_policy_without_values_is_refused():
    step, policy = critic_step([0.0], [0.0])
    term = ValueLoss(GAE, 1.0, Rollouts(), TokenMean())
    assert needs_of(term) == needs_of(term, phase="plan_needs") | {"rollouts"} == {"value", "rollouts"}
    with pytest.raises(ValueError, match=r"PolicyTokens\.value is None"):
        term.coefficients(term.plan(step), PolicyTokens(policy.logp), step)


@pytest.mark.parametrize("options", [{"weight": -1.0}, {"clip": -0.1}, {"weight": float("nan")}])
def test_bad_numbers_are_refused_by_name(options):
    with pytest.raises(ValueError, match=f"ValueLoss.{next(iter(options))}"):
        ValueLoss(
            **{"returns": GAE, "weight": 1.0, "rows": Rollouts(), "aggregation": TokenMean(), **options}
        )


def test_an_advantage_without_returns_is_refused():
    with pytest.raises(TypeError, match=r"(?s)returns.*GroupRelative"):
        ValueLoss(GroupRelative(), 1.0, Rollouts(), TokenMean())
    assert ValueLoss(ClippedReward(GAE, 0.0, 1.0), 1.0, Rollouts(), TokenMean())
