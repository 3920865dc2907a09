"""What holds for every mask with every denominator and every likelihood."""

import dataclasses
import itertools
import pickle
import subprocess
import sys
from pathlib import Path

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
    SoftClipMask,
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
    KeepAll(), ClipMask(), DualClipMask(), TwoSidedClipMask(delta=1.3), BoundMask(0.5, 2.0), SoftClipMask(),
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
PARTS = [*MASKS, *DENOMINATORS, *LIKELIHOODS]
# Each mask, each denominator and each likelihood, with two pairs of the others.
TRIPLES = [
    *itertools.product(MASKS, [BehaviorPolicy()], [TokenLikelihood()]),
    *itertools.product(MASKS, [ClippedRatio(0.5, 2.0)], [SequenceLikelihood()]),
    *itertools.product([ClipMask()], DENOMINATORS, [TokenLikelihood(), GeometricLikelihood()]),
    *itertools.product([SoftClipMask()], [BehaviorPolicy(), ClippedRatio(0.5, 2.0)], LIKELIHOODS),
]
every_triple = pytest.mark.parametrize("parts", [estimator(*triple) for triple in TRIPLES], ids=repr)
ROWS = build(one_advantage_a_row=True)


@dataclasses.dataclass(frozen=True, eq=False)
class HeldMask:
    """A mask whose weight stands still while f(ratio) moves."""

    inner: object
    weight: torch.Tensor
    at: PolicyTokens

    def __call__(self, ratio, advantage, policy, batch):
        return self.weight


@dataclasses.dataclass(frozen=True, eq=False)
class HeldBoundedMask(HeldMask):
    def bounded(self, ratio, advantage, policy, batch):
        return self.inner.bounded(ratio, advantage, self.at, batch)


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
    mask = (HeldBoundedMask if isinstance(parts.mask, Bounded) else HeldMask)(parts.mask, weight, policy)
    moving = HeldIntegrable if isinstance(parts.denominator, Integrable) else HeldDenominator
    return estimator(mask, moving(parts.denominator, log, policy.logp), likelihood)


def derivative(parts, rows, direction, step=1e-5):
    """Return the central difference of the objective along a direction of the log-probs."""
    fixed, plan = held(parts, rows), plan_of(parts, rows)
    ends = [
        fixed.objective(plan, PolicyTokens(rows.logp + sign * step * direction), rows.batch)
        for sign in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=repr)
@pytest.mark.parametrize("mask", MASKS, ids=repr)
def test_the_reported_objective_has_the_coefficients_as_its_derivative(mask, likelihood):
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(ROWS.logp.shape, generator=generator, dtype=torch.float64)
    moved = 0
    for denominator in DENOMINATORS:
        parts = estimator(mask, denominator, likelihood)
        expected = (gradient(parts, ROWS) * direction).sum()
        moved += bool(expected.abs() > 1e-3)
        torch.testing.assert_close(
            derivative(parts, ROWS, direction), expected, rtol=1e-6, atol=1e-9, msg=repr(denominator)
        )
    assert moved > len(DENOMINATORS) / 3, "hardly anything to compare"


@every_triple
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gap", ["up", "down", "up and down"])
def test_log_ratios_of_eighty_leave_everything_finite(parts, dtype, gap):
    rows = build(one_advantage_a_row=True, dtype=dtype)
    up = torch.arange(rows.logp.shape[1]) % 2 == 0 if gap == "up and down" else torch.tensor(gap == "up")
    far = with_log_ratio(rows, torch.where(up, 80.0, -80.0).expand_as(rows.logp))
    found = parts.coefficients(plan_of(parts, far), PolicyTokens(far.logp), far.batch)
    assert found.logp.isfinite().all()
    assert found.logp.dtype == found.stable.dtype == found.ratio.dtype == dtype
    assert not found.logp[~far.batch.response_mask].any()
    assert objective(parts, far).isfinite()


@every_triple
@pytest.mark.parametrize("value", [1e300, float("-inf"), float("nan")])
def test_what_stands_outside_the_response_does_not_matter(parts, value):
    inside = ROWS.batch.response_mask

    def garbled(tensor):
        return torch.where(inside, tensor, value)

    fields = {name: garbled(t) for name, t in ROWS.batch.tensors() if name.endswith(("_logp", "_entropy"))}
    batch = dataclasses.replace(ROWS.batch, **fields)
    other = dataclasses.replace(ROWS, batch=batch, logp=garbled(ROWS.logp))
    assert torch.equal(gradient(parts, other), gradient(parts, ROWS))
    assert torch.equal(objective(parts, other), objective(parts, ROWS))


@every_triple
def test_a_row_alone_and_padded_gets_what_it_gets_among_others(parts):
    plan = plan_of(parts, ROWS)
    whole = parts.coefficients(plan, PolicyTokens(ROWS.logp), ROWS.batch).logp
    for index in (torch.tensor([1]), torch.tensor([5])):
        alone = ROWS.batch.rows(index)
        wide = {
            name: pad(tensor, (1, 3), value=False if tensor.dtype == torch.bool else torch.nan)
            for name, tensor in alone.tensors()
            if tensor.ndim == 2
        }
        batch = dataclasses.replace(alone, **wide)
        part = TermPlan(*(None if tensor is None else pad(tensor, (1, 3)) for tensor in plan.rows(index)))
        logp = pad(ROWS.logp[index], (1, 3), value=torch.nan)
        found = parts.coefficients(part, PolicyTokens(logp), batch).logp[:, 1:-3]
        torch.testing.assert_close(found, whole[index], rtol=1e-12, atol=0)


@every_triple
def test_an_estimator_reads_no_more_than_its_parts_need(parts):
    names = ["behavior_logp", "sampler_logp", "reference_logp", "current_logp", "current_entropy"]
    lean = {name: None for name in names if name not in needs_of(parts)}
    rows = dataclasses.replace(ROWS, batch=dataclasses.replace(ROWS.batch, **lean))
    assert torch.equal(gradient(parts, rows), gradient(parts, ROWS))


@pytest.mark.parametrize("mask", MASKS, ids=repr)
def test_a_log_prob_that_is_nan_inside_the_response_is_not_hidden(mask):
    for denominator in (BehaviorPolicy(), Unit(), ClippedRatio(0.5, 2.0)):
        parts = estimator(mask, denominator, TokenLikelihood())
        plan, stable = plan_of(parts, ROWS), torch.ones_like(ROWS.logp)
        stable = stable if plan.stable is None else plan.stable
        inside = ROWS.batch.response_mask & (ROWS.advantage != 0) & (stable != 0)
        row, token = inside.nonzero()[0].tolist()
        logp = ROWS.logp.clone()
        logp[row, token] = torch.nan
        assert parts.coefficients(plan, PolicyTokens(logp), ROWS.batch).logp[row, token].isnan()


@every_triple
def test_nothing_given_to_a_part_is_changed(parts):
    rows = build(one_advantage_a_row=True)
    gradient(parts, rows)
    for (_, new), (_, old) in zip(rows.batch.tensors(), ROWS.batch.tensors(), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(rows.logp, ROWS.logp, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_part_is_a_frozen_value(part):
    assert pickle.loads(pickle.dumps(part)) == part
    assert hash(part) == hash(pickle.loads(pickle.dumps(part)))
    assert part == eval(repr(part))
    for field in dataclasses.fields(part):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field.name, None)


def test_words_that_no_part_knows_are_refused_also_without_type_checks():
    code = """
import core
for name, build in {
    "kind": lambda: core.DivergenceMask("js"),
    "within": lambda: core.TopEntropy(within="group"),
    "level": lambda: core.TruncatedImportance(level="row"),
    "level ": lambda: core.MaskedImportance(level="row"),
    "level  ": lambda: core.ClippedRatio(level="row"),
    "to": lambda: core.ClippedRatio(to="sampler"),
}.items():
    try:
        build()
    except ValueError as error:
        print(name, error)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.splitlines() == [
        "kind DivergenceMask.kind='js' must be 'tv' or 'kl'",
        "within TopEntropy.within='group' must be 'step' or 'row'",
        "level TruncatedImportance.level='row' must be 'token' or 'sequence' or 'sequence_mean'",
        "level  MaskedImportance.level='row' must be 'token' or 'sequence' or 'sequence_mean'",
        "level   ClippedRatio.level='row' must be 'token' or 'sequence' or 'sequence_mean'",
        "to ClippedRatio.to='sampler' must be 'behavior' or 'reference'",
    ]
