import dataclasses
import math

import pytest
import torch

from core import (
    Algorithm,
    AnyOf,
    Demonstrations,
    FixedLengthSum,
    KlPenalty,
    PolicyTokens,
    Rollouts,
    SequenceLikelihood,
    SequenceMean,
    TokenLikelihood,
    TokenMean,
)
from tests.core.batches import batch
from tests.core.steps import for_any_seed, random_step
from tests.core.terms import gradient

# Value and the value whose gradient is taken, of L = log π_θ − log π; written as the definitions are.
TEXTBOOK = {
    "k1": (lambda x: x, lambda x: x),
    "k2": (lambda x: x**2 / 2, lambda x: x**2 / 2),
    "k3": (lambda x: torch.exp(-x) - 1 + x, lambda x: torch.exp(-x) - 1 + x),
    "abs": (torch.abs, torch.abs),
    "k1+": (lambda x: x, lambda x: x**2 / 2),
    "k3+": (lambda x: torch.exp(-x) - 1 + x, lambda x: x**2 / 2),
    "abs+": (torch.abs, lambda x: x**2 / 2),
}
every_estimator = pytest.mark.parametrize("estimator", TEXTBOOK)


def row_ratio(log_ratio, mask):
    """Return the length-normalised ratio of each row, at all its positions."""
    length = mask.sum(dim=1, keepdim=True).clamp(min=1)
    total = torch.where(mask, log_ratio, 0.0).sum(dim=1, keepdim=True)
    return (total / length).exp().expand_as(log_ratio)


def drawn(seed):
    """Return a step and a policy that has moved from it."""
    step = random_step(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    moved = step.behavior_logp + 0.6 * torch.randn(step.response_mask.shape, generator=generator).double()
    return step, moved.requires_grad_()


def textbook(step, logp, estimator, limit=None, ratio=None, to="reference_logp"):
    """Return each token's penalty, as a tensor to be differentiated."""
    mask = step.response_mask
    x = torch.where(mask, logp - getattr(step, to), 0.0)
    value, differentiated = (formula(x) for formula in TEXTBOOK[estimator])
    if limit is not None:
        value = value.clamp(-limit, limit)
        differentiated = differentiated if estimator.endswith("+") else value
    penalty = differentiated + (value - differentiated).detach()
    if ratio is None:
        return penalty
    log_ratio = torch.where(mask, logp - step.behavior_logp, 0.0)
    return penalty * (log_ratio.exp() if ratio == "token" else row_ratio(log_ratio, mask))


def same(found, expected, logp):
    torch.testing.assert_close(found[1], expected.detach(), rtol=1e-12, atol=1e-14)
    wanted = torch.autograd.grad(expected, logp)[0]
    torch.testing.assert_close(found[0], wanted, rtol=1e-12, atol=1e-14)


@every_estimator
@pytest.mark.parametrize("limit", [None, 0.25])
@pytest.mark.parametrize("to", ["reference", "behavior"])
@for_any_seed
def test_gradient_and_loss_are_those_of_the_textbook_penalty(estimator, limit, to, seed):
    step, logp = drawn(seed)
    term = KlPenalty(0.3, Rollouts(), FixedLengthSum(7), estimator, to, limit)
    counted = step.response_mask & ~step.is_demonstration[:, None]
    penalty = textbook(step, logp, estimator, limit, to=f"{to}_logp")
    same(gradient(term, step, logp), 0.3 * torch.where(counted, penalty, 0.0).sum() / 7, logp)


@every_estimator
@pytest.mark.parametrize(
    ("ratio", "likelihood"), [("token", TokenLikelihood()), ("row", SequenceLikelihood())]
)
@for_any_seed
def test_a_ratio_weighs_the_penalty_and_is_differentiated_too(estimator, ratio, likelihood, seed):
    step, logp = drawn(seed)
    rows = AnyOf((Rollouts(), Demonstrations()))
    term = KlPenalty(0.3, rows, FixedLengthSum(7), estimator, limit=1.0, ratio=likelihood)
    penalty = textbook(step, logp, estimator, 1.0, ratio)
    same(gradient(term, step, logp), 0.3 * torch.where(step.response_mask, penalty, 0.0).sum() / 7, logp)


def test_the_penalty_is_averaged_as_its_aggregation_says():
    step = batch([1.0, 0.0], lengths=[1, 3])
    step = dataclasses.replace(step, reference_logp=torch.full((2, 3), -2.0).double())
    policy = PolicyTokens(torch.tensor([[-1.0, 0, 0], [-2.5, -2.0, -1.0]]).double())
    for aggregation, mean in ((TokenMean(), 1.5 / 4), (SequenceMean(), (1.0 + 0.5 / 3) / 2)):
        plan = Algorithm("kl", (KlPenalty(0.5, Rollouts(), aggregation, "k1"),)).plan(step)
        assert plan.losses(policy, step)["kl"].item() == pytest.approx(0.5 * mean, rel=1e-12)


def test_small_divergences_keep_their_digits():
    # e^(−L) − 1 + L at L = 1e-7 is 5e-15, less a part in 3e7; computed as it is written it is 1 % off.
    step = batch([1.0], lengths=[2])
    step = dataclasses.replace(step, reference_logp=torch.zeros(1, 2).double())
    term = KlPenalty(1.0, Rollouts(), FixedLengthSum(1), "k3")
    plan, policy = term.plan(step), PolicyTokens(torch.full((1, 2), 1e-7, dtype=torch.float64))
    assert -term.objective(plan, policy, step).item() == pytest.approx(1e-14, rel=1e-6, abs=0)
    found = term.coefficients(plan, policy, step)
    assert found.logp[0].tolist() == pytest.approx([-1e-7 * (1 - 5e-8)] * 2, rel=1e-13, abs=0)


def test_beyond_the_limit_the_value_is_kept_and_the_gradient_is_gone():
    step = batch([1.0], lengths=[3])
    step = dataclasses.replace(step, reference_logp=torch.zeros(1, 3).double())
    logp = torch.tensor([[-80.0, -1.0, -2.7]], dtype=torch.float64, requires_grad=True)
    term = KlPenalty(1.0, Rollouts(), FixedLengthSum(1), "k3", limit=10.0)
    found, loss = gradient(term, step, logp)
    assert found[0].tolist() == pytest.approx([0.0, 1 - math.e, 0.0])
    assert loss.item() == pytest.approx(10.0 + (math.e - 2) + 10.0)
