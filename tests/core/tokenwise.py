"""Rows whose tokens reach every branch of the parts, and what an estimator makes of them.

The advantage and the weight of each token are given, so that only mask, denominator and likelihood are under
test; outside the response stands NaN.
"""

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace

import torch

from core import Constant, PolicyGradient, PolicyTokens, TermPlan, TokenBatch, surrogate

# Logs of ratios between and beyond every bound used in the tests, never at one.
LOG_RATIOS = [0.05, -0.1, 0.31, -0.6, 0.95, -1.7, 1.45, -0.27, 0.17, -3.0, 2.2]
CREDITS = [1.5, -0.75, 0.5, -2.0, 0.0, 1.0]


@dataclass(frozen=True)
class Rows:
    """A batch, the policy's log-probs on it, and the credit and weight of its tokens."""

    batch: TokenBatch
    logp: torch.Tensor
    advantage: torch.Tensor
    weight: torch.Tensor

    def each(self, logp):
        """Yield each row's tokens: logp, old, sampler, anchor (log-probs), credit and weight."""
        fields = {
            "logp": logp,
            "old": self.batch.behavior_logp,
            "sampler": self.batch.sampler_logp,
            "anchor": self.batch.reference_logp,
            "credit": self.advantage,
            "weight": self.weight,
        }
        for row, inside in enumerate(self.batch.response_mask):
            if inside.any():
                yield SimpleNamespace(**{name: value[row][inside] for name, value in fields.items()})


def build(one_advantage_a_row=False, dtype=torch.float64, rows=6, tokens=9, seed=3):
    """Return rows with holes; one is empty, and two of the log-probs are close to 0."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    mask = uniform(rows, tokens) < 0.8
    mask[-1] = False
    place = torch.arange(rows * tokens).reshape(rows, tokens)
    behavior = -4.0 - uniform(rows, tokens) * 2.0
    logp = behavior + torch.tensor(LOG_RATIOS, dtype=torch.float64)[place % len(LOG_RATIOS)]
    logp[0, :2], behavior[0, :2] = -0.01, torch.tensor([-0.4, -0.1], dtype=torch.float64)
    mask[0, :2] = True
    credits = torch.tensor(CREDITS, dtype=torch.float64)
    advantage = credits[place // tokens % len(CREDITS)]
    if not one_advantage_a_row:
        advantage = credits[(place // 2 + place // tokens) % len(CREDITS)]

    def garbled(values):
        return torch.where(mask, values, torch.nan).to(dtype)

    batch = TokenBatch(
        response_mask=mask,
        group=torch.arange(rows) // 2,
        is_demonstration=torch.zeros(rows, dtype=torch.bool),
        reward=torch.zeros(rows, dtype=dtype),
        behavior_logp=garbled(behavior),
        sampler_logp=garbled(behavior + uniform(rows, tokens) - 0.5),
        reference_logp=garbled(behavior + uniform(rows, tokens) * 2.0 - 1.0),
        current_logp=garbled(logp - 0.01),
        current_entropy=garbled(uniform(rows, tokens) * 3.0),
    )
    weight = torch.where(mask, 0.1 + uniform(rows, tokens), 0.0).to(dtype)
    return Rows(batch, garbled(logp), torch.where(mask, advantage, 0.0).to(dtype), weight)


def estimator(mask, denominator, likelihood):
    return PolicyGradient(mask, denominator, Constant(), likelihood)


def plan_of(parts, rows):
    """Return the plan of rows with given credits and weights, what the mask plans included."""
    planned = getattr(parts.mask, "plan", None)
    return TermPlan(rows.advantage, rows.weight, planned and planned(rows.batch, rows.advantage))


def gradient(parts, rows):
    """Return the ascent direction of rows' log-probs."""
    policy = PolicyTokens(rows.logp.clone().requires_grad_())
    found = parts.coefficients(plan_of(parts, rows), policy, rows.batch)
    surrogate((found,), policy, rows.batch).backward()
    return -policy.logp.grad


def objective(parts, rows):
    """Return what the estimator says that it ascends."""
    return parts.objective(plan_of(parts, rows), PolicyTokens(rows.logp), rows.batch)


def assert_is(parts, textbook, rows):
    """Compare with Σ weight · textbook(row), both its value and its gradient by autograd.

    `textbook` gets a row of `Rows.each` and returns each token's objective.
    """
    logp = rows.logp.clone().requires_grad_()
    total = sum((row.weight * textbook(row)).sum() for row in rows.each(logp))
    (expected,) = torch.autograd.grad(total, logp)
    expected = torch.where(rows.batch.response_mask, expected, 0.0)
    assert expected.any(), "nothing to compare: the expected gradient is zero"
    torch.testing.assert_close(gradient(parts, rows), expected, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(objective(parts, rows), total.detach(), rtol=1e-11, atol=1e-13)


def with_log_ratio(rows, log_ratio):
    """Return the rows with the policy that far from the behavior policy and the anchor, in nats."""
    mask = rows.batch.response_mask
    low = torch.where(mask, torch.where(log_ratio > 0, -81.0, -1.0), torch.nan).to(rows.logp.dtype)
    batch = dataclasses.replace(
        rows.batch,
        behavior_logp=low,
        sampler_logp=low - 0.1,
        reference_logp=low,
        current_logp=low + log_ratio,
    )
    return dataclasses.replace(rows, batch=batch, logp=low + log_ratio)
