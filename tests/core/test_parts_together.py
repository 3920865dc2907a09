"""What holds for every mask with every denominator and every likelihood."""

import dataclasses
import itertools
import pickle

import pytest
import torch
from torch.nn.functional import pad

from core import (
    AllOf,
    BehaviorPolicy,
    BoundMask,
    ClampedLikelihood,
    ClipCovariance,
    ClipMask,
    ClippedRatio,
    CurrentPolicy,
    Detached,
    DivergenceMask,
    DualClipMask,
    ExplorationMask,
    FlooredPolicy,
    GeometricLikelihood,
    KeepAll,
    MaskedImportance,
    MixedBehavior,
    PhiMask,
    PolicyTokens,
    PowerPolicy,
    ResponseLikelihood,
    SequenceDivergenceMask,
    SequenceLikelihood,
    SequenceTokenLikelihood,
    ShapedLikelihood,
    SoftGate,
    TermPlan,
    TokenLikelihood,
    TopCovariance,
    TopEntropy,
    TruncatedImportance,
    TwoSidedClipMask,
    Unit,
    needs_of,
)
from core.hooks import Bounded, Integrable
from tests.core.tokenwise import build, estimator, gradient, objective, plan_of, with_log_ratio

MASKS = [
    KeepAll(), ClipMask(), DualClipMask(), TwoSidedClipMask(delta=1.3), BoundMask(0.5, 2.0), SoftGate(),
    PhiMask(), ExplorationMask(), DivergenceMask(), DivergenceMask("kl", cap=None),
    SequenceDivergenceMask(0.1), TruncatedImportance(1.05), MaskedImportance(0.9, 1.2, "sequence_mean"),
    TopEntropy(0.5), ClipCovariance(0.0, 3.0, 0.2), TopCovariance(0.5),
    AllOf((ClipMask(), PhiMask(), TopEntropy(0.5, "row"))),
]  # fmt: skip
DENOMINATORS = [
    CurrentPolicy(), BehaviorPolicy(), Unit(), PowerPolicy(0.5), PowerPolicy(0.0), FlooredPolicy(0.02),
    MixedBehavior(40), ClippedRatio(0.9, 1.1), ClippedRatio(None, 2.0, "reference", "sequence"),
    ClippedRatio(0.5, None, level="sequence_mean"), Detached(Unit()), Detached(BehaviorPolicy()),
]  # fmt: skip
LIKELIHOODS = [
    TokenLikelihood(), SequenceLikelihood(), SequenceTokenLikelihood(), ResponseLikelihood(),
    GeometricLikelihood(), ShapedLikelihood(), ClampedLikelihood(TokenLikelihood(), -0.5, 0.2),
    ClampedLikelihood(SequenceLikelihood(), high=0.05),
]  # fmt: skip
TRIPLES = list(itertools.product(MASKS, DENOMINATORS, LIKELIHOODS))
PARTS = [*MASKS, *DENOMINATORS, *LIKELIHOODS]
some = pytest.mark.parametrize("mask", MASKS, ids=repr)
ROWS = build(one_advantage_a_row=True, rows=4, tokens=4)


@dataclasses.dataclass(frozen=True, eq=False)
class HeldMask:
    """A mask whose weight stands still while f(ratio) moves."""

    inner: object
    weight: torch.Tensor

    def __call__(self, ratio, advantage, policy, batch):
        return self.weight


@dataclasses.dataclass(frozen=True, eq=False)
class HeldBoundedMask(HeldMask):
    def bounded(self, ratio, advantage, policy, batch):
        return self.inner.bounded(ratio, advantage, policy, batch)


@dataclasses.dataclass(frozen=True, eq=False)
class HeldDenominator:
    """A denominator that stands still, or moves as its integral says; or a ratio that stands still."""

    inner: object
    log: torch.Tensor
    at: torch.Tensor

    def __call__(self, policy, batch):
        if isinstance(self.inner, PowerPolicy):
            return self.inner(policy, batch)
        if isinstance(self.inner, Integrable):
            return self.log
        return policy.logp - (self.at - self.log)


@dataclasses.dataclass(frozen=True, eq=False)
class HeldIntegrable(HeldDenominator):
    def integral(self, ratio, policy, batch):
        return self.inner.integral(ratio, policy, batch)


@dataclasses.dataclass(frozen=True, eq=False)
class HeldSequence:
    """sg(mean of the log-ratios) + what each token's own log-ratio moved."""

    mean: torch.Tensor
    at: torch.Tensor

    def __call__(self, log_ratio, advantage, batch):
        return self.mean + log_ratio - self.at

    def pull_back(self, weight, log_ratio, advantage, batch):
        return weight


def held(parts, rows):
    """Return the estimator with all that its definition does not differentiate standing still."""
    batch, inside = rows.batch, rows.batch.response_mask
    policy = PolicyTokens(torch.where(inside, rows.logp, 0.0))
    log = parts.denominator(policy, batch)
    log_ratio = policy.logp - log
    value = parts.likelihood(log_ratio, rows.advantage, batch)
    ratio = torch.where(inside, value, 0.0).exp()
    weight = parts.mask(ratio, rows.advantage, policy, batch)
    likelihood = parts.likelihood
    if isinstance(likelihood, SequenceTokenLikelihood):
        likelihood = HeldSequence(value, log_ratio)
    mask = (HeldBoundedMask if isinstance(parts.mask, Bounded) else HeldMask)(parts.mask, weight)
    moving = HeldIntegrable if isinstance(parts.denominator, Integrable) else HeldDenominator
    return estimator(mask, moving(parts.denominator, log, policy.logp), likelihood)


def derivative(parts, rows, step=1e-5):
    """Return the central difference of the objective by each log-prob in the response."""
    fixed, plan = held(parts, rows), plan_of(parts, rows)
    found = torch.zeros_like(rows.logp)
    for row, token in rows.batch.response_mask.nonzero().tolist():
        ends = []
        for sign in (1, -1):
            logp = rows.logp.clone()
            logp[row, token] += sign * step
            ends.append(fixed.objective(plan, PolicyTokens(logp), rows.batch))
        found[row, token] = (ends[0] - ends[1]) / (2 * step)
    return found


@some
@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=repr)
def test_the_reported_objective_has_the_coefficients_as_its_derivative(mask, likelihood):
    for denominator in DENOMINATORS:
        parts = estimator(mask, denominator, likelihood)
        torch.testing.assert_close(
            derivative(parts, ROWS), gradient(parts, ROWS), rtol=1e-6, atol=1e-8, msg=repr(denominator)
        )


@some
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", [80.0, -80.0, None])
def test_log_ratios_of_eighty_leave_everything_finite(mask, dtype, gap):
    rows = build(one_advantage_a_row=True, dtype=dtype)
    alternating = torch.where(torch.arange(rows.logp.shape[1]) % 2 == 0, 80.0, -80.0).expand_as(rows.logp)
    far = with_log_ratio(rows, alternating if gap is None else torch.full_like(rows.logp, gap))
    for denominator, likelihood in itertools.product(DENOMINATORS, LIKELIHOODS):
        parts = estimator(mask, denominator, likelihood)
        found = parts.coefficients(plan_of(parts, far), PolicyTokens(far.logp), far.batch)
        assert found.logp.isfinite().all(), parts
        assert found.logp.dtype == found.stable.dtype == found.ratio.dtype == dtype, parts
        assert not found.logp[~far.batch.response_mask].any(), parts
        if gap is None:
            continue  # f(ratio) of a mixed row may hold the difference of two overflows
        assert objective(parts, far).isfinite(), parts


@some
@pytest.mark.parametrize("value", [-7.0, 1e300, float("-inf"), float("nan")])
def test_what_stands_outside_the_response_does_not_matter(mask, value):
    inside = ROWS.batch.response_mask

    def garbled(tensor):
        return torch.where(inside, tensor, value)

    fields = {name: garbled(t) for name, t in ROWS.batch.tensors() if name.endswith(("_logp", "_entropy"))}
    other = dataclasses.replace(
        ROWS, batch=dataclasses.replace(ROWS.batch, **fields), logp=garbled(ROWS.logp)
    )
    for denominator, likelihood in itertools.product(DENOMINATORS, LIKELIHOODS):
        parts = estimator(mask, denominator, likelihood)
        assert torch.equal(gradient(parts, other), gradient(parts, ROWS)), parts
        assert torch.equal(objective(parts, other), objective(parts, ROWS)), parts


@some
def test_rows_alone_and_padded_get_what_they_get_together(mask):
    rows = build(one_advantage_a_row=True)
    for denominator, likelihood in itertools.product(DENOMINATORS, LIKELIHOODS):
        parts = estimator(mask, denominator, likelihood)
        plan, policy = plan_of(parts, rows), PolicyTokens(rows.logp)
        whole = parts.coefficients(plan, policy, rows.batch).logp
        for row in range(len(whole)):
            index = torch.tensor([row])
            fields = {
                name: pad(t, (1, 3), value=False if t.dtype == torch.bool else torch.nan)
                for name, t in rows.batch.rows(index).tensors()
                if t.ndim == 2
            }
            batch = dataclasses.replace(rows.batch.rows(index), **fields)
            wide = TermPlan(*(None if t is None else pad(t, (1, 3)) for t in plan.rows(index)))
            logp = pad(rows.logp[index], (1, 3), value=torch.nan)
            found = parts.coefficients(wide, PolicyTokens(logp), batch).logp[:, 1:-3]
            torch.testing.assert_close(found, whole[index], rtol=1e-12, atol=0)


def test_every_part_reads_no_more_than_it_needs():
    names = ["behavior_logp", "sampler_logp", "reference_logp", "current_logp", "current_entropy"]
    for triple in TRIPLES:
        lean = {name: None for name in names if name not in needs_of(triple)}
        rows = dataclasses.replace(ROWS, batch=dataclasses.replace(ROWS.batch, **lean))
        assert torch.equal(gradient(estimator(*triple), rows), gradient(estimator(*triple), ROWS)), triple


def test_a_log_prob_that_is_nan_inside_the_response_is_not_hidden():
    rows = build(one_advantage_a_row=True)
    row, token = (rows.batch.response_mask & (rows.advantage != 0)).nonzero()[0].tolist()
    logp = rows.logp.clone()
    logp[row, token] = torch.nan
    broken = dataclasses.replace(rows, logp=logp)
    for triple in TRIPLES:
        if triple[1] == CurrentPolicy() and triple[0] in HIDDEN:
            continue
        parts = estimator(*triple)
        plan = plan_of(parts, rows)
        if plan.stable is None or plan.stable[row, token]:
            found = parts.coefficients(plan, PolicyTokens(broken.logp), broken.batch)
            assert found.logp[row].isnan().any(), parts


HIDDEN = ()


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_part_is_a_frozen_value(part):
    assert pickle.loads(pickle.dumps(part)) == part
    assert hash(part) == hash(pickle.loads(pickle.dumps(part)))
    assert part == eval(repr(part))
    for field in dataclasses.fields(part):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field.name, None)


@some
def test_nothing_given_to_a_part_is_changed(mask):
    rows = build(one_advantage_a_row=True)
    before = [tensor.clone() for _, tensor in rows.batch.tensors()]
    for denominator, likelihood in itertools.product(DENOMINATORS, LIKELIHOODS):
        gradient(estimator(mask, denominator, likelihood), rows)
    for old, (_, new) in zip(before, rows.batch.tensors(), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(rows.logp, build(True).logp, rtol=0, atol=0, equal_nan=True)
