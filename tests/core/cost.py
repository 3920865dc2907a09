"""Benchmarks of an estimator of parts and of a loss written by hand: 64 rows × 1,024 tokens, both directions.

    python -m pytest -o addopts= tests/core/cost.py --benchmark-columns=min,median

The options of the other tests are left out, since they check every tensor's shape on each call.
"""

import pytest
import torch

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    GroupRelative,
    PolicyGradient,
    PolicyTokens,
    Rollouts,
    SequenceMean,
    Term,
    TokenBatch,
    TokenLikelihood,
    surrogate,
)

ROWS, TOKENS = 64, 1024


@pytest.fixture(scope="module")
def step():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(TOKENS // 2, TOKENS + 1, (ROWS, 1), generator=generator)
    return TokenBatch(
        response_mask=torch.arange(TOKENS)[None] < lengths,
        group=torch.arange(ROWS) // 8,
        is_demonstration=torch.zeros(ROWS, dtype=torch.bool),
        reward=(torch.rand(ROWS, generator=generator) > 0.5).double(),
        behavior_logp=-torch.rand(ROWS, TOKENS, generator=generator),
    )


@pytest.fixture(scope="module")
def logp(step):
    return step.behavior_logp + 0.1 * torch.randn(ROWS, TOKENS, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def plan(step):
    estimator = PolicyGradient(ClipMask(), BehaviorPolicy(), GroupRelative(), TokenLikelihood())
    return Algorithm("grpo", (Term("reinforce", estimator, Rollouts(), SequenceMean()),)).plan(step)


def of_parts(plan, step, logp):
    leaf = logp.clone().requires_grad_()
    policy = PolicyTokens(leaf)
    surrogate(plan.coefficients(policy, step), policy, step).backward()
    return leaf.grad


def by_hand(advantage, step, logp):
    leaf = logp.clone().requires_grad_()
    ratio = torch.exp(leaf - step.behavior_logp)
    objective = torch.min(ratio * advantage, torch.clamp(ratio, 0.8, 1.2) * advantage)
    mask = step.response_mask.float()
    loss = -((objective * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)).mean()
    loss.backward()
    return leaf.grad


@pytest.mark.benchmark(group="GRPO, 64 x 1024 tokens")
def test_written_by_hand(benchmark, plan, step, logp):
    advantage = plan.plans[0].advantage[:, :1].float()
    benchmark.pedantic(by_hand, (advantage, step, logp), rounds=500, warmup_rounds=20)


@pytest.mark.benchmark(group="GRPO, 64 x 1024 tokens")
def test_made_of_parts(benchmark, plan, step, logp):
    found = benchmark.pedantic(of_parts, (plan, step, logp), rounds=500, warmup_rounds=20)
    torch.testing.assert_close(found, by_hand(plan.plans[0].advantage[:, :1].float(), step, logp))
