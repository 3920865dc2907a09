"""PPO as its paper writes it, one row at a time in plain PyTorch, beside what the harness composes it of."""

import pytest
import torch

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Gae,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
    ValueLoss,
    Whitened,
)
from tests.training.rows import ragged_rows, row_logp
from tests.training.runs import weights
from training.critic_config import CriticConfig

GAMMA, LAM, CLIP = 0.98, 0.9, 0.2
GAE = Gae(GAMMA, LAM)
ROWS = ragged_rows()
RATE, CRITIC = 1e-2, CriticConfig(learning_rate=3e-3, gradient_clip=0.2)
STAGES = [0, 2, pytest.param(1, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]


def ppo(*, weight=1.0, value_weight=1.0, gae=GAE):
    rows, mean = Rollouts(), TokenMean()
    estimator = PolicyGradient(ClipMask(CLIP, CLIP), BehaviorPolicy(), Whitened(gae), TokenLikelihood())
    policy = Term("policy", estimator, rows, mean, weight=weight)
    return Algorithm(
        "ppo", (policy, ValueLoss(returns=gae, rows=rows, aggregation=mean, weight=value_weight))
    )


def row_values(model, row):
    """Return the value before each of a row's response tokens from a forward of that row alone."""
    ids = torch.tensor([[*row.prompt, *row.tokens]])
    return model(input_ids=ids, use_cache=False).logits[0, len(row.prompt) - 1 : -1, 0]


def generalized_advantages(reward, values):
    """Return GAE(γ, λ) of a response whose whole reward falls on its last token."""
    found, later = [], 0.0
    for t in reversed(range(len(values))):
        following = values[t + 1] if t + 1 < len(values) else 0.0
        error = (reward if t + 1 == len(values) else 0.0) + GAMMA * following - values[t]
        later = error + GAMMA * LAM * later
        found.append(later)
    return torch.stack(found[::-1])


def policy_loss(policy, rows, old, advantages):
    """Return −mean over all tokens of min(ρA, clip(ρ)A), with A whitened over them."""
    every = torch.cat(advantages)
    gains = []
    for row, advantage in zip(rows, advantages, strict=True):
        credit = (advantage - every.mean()) / (every.var() + 1e-8).sqrt()
        ratio = (row_logp(policy, row) - old[row]).exp()
        gains.append(torch.minimum(ratio * credit, ratio.clamp(1 - CLIP, 1 + CLIP) * credit))
    return -torch.cat(gains).mean()


def take_step(model, optimizer, loss, learning_rate, clip):
    optimizer.param_groups[0]["lr"] = learning_rate
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad()
    return norm.item()


def textbook_ppo(policy, critic, parts, rates, clips):
    """Train both models in place, one step each on every part's rows.

    Return of each step both losses, both gradient norms, and all tokens' values and returns.
    """
    old = {row: row_logp(policy, row).detach() for rows in parts for row in rows}
    optimizers = [torch.optim.AdamW(model.parameters(), weight_decay=0.01) for model in (policy, critic)]
    seen = []
    sampled = {row: row_values(critic, row).detach().double() for rows in parts for row in rows}
    for rows in parts:
        values = [row_values(critic, row) for row in rows]
        known = [sampled[row] for row in rows]
        advantages = [generalized_advantages(row.reward, v) for row, v in zip(rows, known, strict=True)]
        returns = [a + v for a, v in zip(advantages, known, strict=True)]
        errors = [v - wanted for v, wanted in zip(values, returns, strict=True)]
        losses = policy_loss(policy, rows, old, advantages), 0.5 * (torch.cat(errors) ** 2).mean()
        steps = zip((policy, critic), optimizers, losses, rates, clips, strict=True)
        norms = [take_step(*step) for step in steps]
        seen.append(([loss.item() for loss in losses], norms, torch.cat(known), torch.cat(returns)))
    return seen


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def models(learner):
    return learner._models.policy, learner._models.critic


def both_weights(learner):
    return [weights(engine) for engine in models(learner)]


def learn(learner, algorithm, rows=ROWS, rate=RATE):
    return learner.learn(algorithm, rows, learning_rate=rate, progress=0.0, memory={})


def all_equal(found, expected):
    return [torch.equal(*pair) for pair in zip(found, expected, strict=True)]
