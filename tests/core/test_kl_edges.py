import dataclasses

import pytest
import torch

from core import (
    Algorithm,
    ClipMask,
    KlPenalty,
    PolicyTokens,
    PrefixTokens,
    Rollouts,
    SequenceLikelihood,
    TokenLikelihood,
    TokenMean,
)
from core.needs import needs_of
from tests.core.batches import batch
from tests.core.steps import padded, random_step
from tests.core.terms import gradient

every_estimator = pytest.mark.parametrize("estimator", ["k1", "k2", "k3", "abs", "k1+", "k3+"])


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
