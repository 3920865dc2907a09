import dataclasses
import math

import pytest
import torch

from core import (
    Algorithm,
    AnyOf,
    ClipMask,
    Demonstrations,
    FixedLengthSum,
    KlPenalty,
    PolicyTokens,
    PrefixTokens,
    Rollouts,
    SequenceLikelihood,
    SequenceMean,
    TokenLikelihood,
    TokenMean,
    surrogate,
)
from core.needs import needs_of
from tests.core.batches import batch
from tests.core.steps import for_any_seed, padded, random_step

# Value and the value whose gradient is taken, of L = log π_θ − log π; written as the definitions are.
TEXTBOOK = {
    "k1": (lambda x: x, lambda x: x),
    "k2": (lambda x: x**2 / 2, lambda x: x**2 / 2),
    "k3": (lambda x: torch.exp(-x) - 1 + x, lambda x: torch.exp(-x) - 1 + x),
    "abs": (torch.abs, torch.abs),
    "k1+": (lambda x: x, lambda x: x**2 / 2),
    "k3+": (lambda x: torch.exp(-x) - 1 + x, lambda x: x**2 / 2),
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


def gradient(term, step, logp):
    """Return a term's gradient and loss of the step."""
    plan, policy = Algorithm("kl", (term,)).plan(step), PolicyTokens(logp)
    loss = surrogate(plan.coefficients(policy, step), policy, step)
    return torch.autograd.grad(loss, logp)[0], plan.losses(policy, step)[term.name]


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
    # e^(−L) − 1 + L at L = 1e-9 is 5e-19; computed as it is written it would be 0 or 1e-17.
    step = batch([1.0], lengths=[2])
    step = dataclasses.replace(step, reference_logp=torch.zeros(1, 2).double())
    term = KlPenalty(1.0, Rollouts(), FixedLengthSum(1), "k3")
    found = term.coefficients(term.plan(step), PolicyTokens(torch.full((1, 2), 1e-9).double()), step)
    assert found.logp[0].tolist() == pytest.approx([-1e-9, -1e-9], rel=1e-8)


def test_beyond_the_limit_the_value_is_kept_and_the_gradient_is_gone():
    step = batch([1.0], lengths=[3])
    step = dataclasses.replace(step, reference_logp=torch.zeros(1, 3).double())
    logp = torch.tensor([[-80.0, -1.0, -2.7]], dtype=torch.float64, requires_grad=True)
    term = KlPenalty(1.0, Rollouts(), FixedLengthSum(1), "k3", limit=10.0)
    found, loss = gradient(term, step, logp)
    assert found[0].tolist() == pytest.approx([0.0, 1 - math.e, 0.0])
    assert loss.item() == pytest.approx(10.0 + (math.e - 2) + 10.0)


class Halved:
    """A mask that is ½ where π_θ is above the other policy; what it is told of the advantage is 1."""

    def __call__(self, ratio, advantage, policy, batch):
        assert torch.equal(advantage, batch.response_mask.to(advantage.dtype))
        return torch.where(ratio > 1, 0.5, 1.0).to(ratio.dtype)

    def plan(self, step, advantage):
        """Leave the first token out of those that the term trains on."""
        assert torch.equal(advantage != 0, step.response_mask | (advantage != 0))
        first = step.response_mask & (step.response_mask.cumsum(dim=1) == 1)
        return (~first).to(advantage.dtype)


def test_a_mask_weighs_the_penalty_and_may_look_across_the_terms_tokens():
    step = dataclasses.replace(
        batch([1.0], lengths=[4]),
        reference_logp=torch.full((1, 4), -1.0).double(),
        prefix_mask=torch.tensor([[False, True, True, True]]),
    )
    logp = torch.tensor([[-3.0, -3.0, -3.0, -0.5]], dtype=torch.float64, requires_grad=True)
    term = KlPenalty(2.0, Rollouts(), TokenMean(), "k1", mask=Halved(), tokens=PrefixTokens())
    found, loss = gradient(term, step, logp)
    assert found[0].tolist() == pytest.approx([0, 0, 2 / 3, 1 / 3])
    assert loss.item() == pytest.approx(2 / 3 * (-2.0 + 0.25))


@dataclasses.dataclass(frozen=True)
class Going(Halved):
    """A mask that goes by the advantage of the term it is in."""

    advantage: object = None


def test_a_mask_that_goes_by_its_terms_advantage_is_refused():
    with pytest.raises(ValueError, match=r"Going\(…, advantage=GroupRelative\(\)\)"):
        KlPenalty(1.0, Rollouts(), TokenMean(), mask=Going())
    assert KlPenalty(1.0, Rollouts(), TokenMean(), mask=Going(ClipMask()))


@every_estimator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_ratios_of_eighty_and_nan_outside_the_response_do_no_harm(estimator, dtype):
    step = padded(random_step(2, dtype=dtype))
    far = torch.where(torch.arange(step.response_mask.shape[1]) % 2 == 0, 80.0, -80.0).to(dtype)
    logp = (step.reference_logp + far).detach().requires_grad_()
    for ratio in (None, TokenLikelihood()):
        behavior = dataclasses.replace(step, behavior_logp=logp.detach())
        found, loss = gradient(
            KlPenalty(1.0, Rollouts(), TokenMean(), estimator, ratio=ratio), behavior, logp
        )
        assert found.isfinite().all()
        assert loss.isfinite()
        assert not found[~step.response_mask].any()
        assert found.dtype == dtype


def test_rows_without_weight_may_hold_anything():
    step = random_step(5)
    logp = torch.full_like(step.reference_logp, -1.0).requires_grad_()
    taught = step.is_demonstration[:, None]
    unknown = dataclasses.replace(
        step,
        reference_logp=torch.where(taught, 5000.0, step.reference_logp),
        behavior_logp=torch.where(taught, torch.nan, step.behavior_logp),
    )
    term = KlPenalty(1.0, Rollouts(), TokenMean(), "k3", ratio=SequenceLikelihood())
    found, loss = gradient(term, unknown, logp)
    expected, whole = gradient(term, step, logp)
    assert torch.equal(found, expected)
    assert loss == whole


def test_a_penalty_of_weight_zero_costs_nothing():
    term = KlPenalty(0.0, Rollouts(), TokenMean(), ratio=TokenLikelihood())
    step = batch([1.0])
    plan = Algorithm("kl", (term,)).plan(step)
    assert needs_of(term) == {"rollouts"}
    assert plan.idle().all()
    policy = PolicyTokens(torch.zeros(1, 2).double())
    assert not plan.coefficients(policy, step)[0].logp.any()
    assert plan.losses(policy, step)["kl"] == 0.0


def test_a_penalty_needs_what_it_compares_with():
    def wants(**options):
        return needs_of(KlPenalty(1.0, Rollouts(), TokenMean(), **options)) - {"rollouts"}

    assert wants() == {"reference_logp"}
    assert wants(to="behavior") == {"behavior_logp"}
    assert wants(ratio=TokenLikelihood()) == {"reference_logp", "behavior_logp"}


def test_what_is_no_likelihood_is_refused_as_ratio():
    with pytest.raises(TypeError, match=r"(?s)ratio.*TokenMean\(\)"):
        KlPenalty(1.0, Rollouts(), TokenMean(), ratio=TokenMean())
    with pytest.raises(ValueError, match=r"KlPenalty\.limit=-1\.0"):
        KlPenalty(1.0, Rollouts(), TokenMean(), limit=-1.0)


def test_rows_that_the_penalty_reaches_are_not_idle():
    step = random_step(7)
    term = KlPenalty(1.0, Rollouts(), TokenMean())
    idle = Algorithm("kl", (term,)).plan(step).idle()
    assert torch.equal(idle, step.is_demonstration | ~step.response_mask.any(dim=1))
