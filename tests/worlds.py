"""A step of rows that reaches every branch, and a policy with one softmax and one value per token.

The policy's logits are a leaf of shape (rows, tokens, vocabulary) and the critic's values one of shape (rows,
tokens), so that a gradient shows each token: the value's stands behind those of the logits.
"""

import dataclasses
from dataclasses import dataclass

import torch

from core import PolicyTokens, TokenBatch, surrogate

VOCABULARY = 5
# question, reward, is a demonstration: mixed, none solved, all solved, singletons, one with partial reward.
ROWS = [
    (7, 1.0, False), (3, 0.0, False), (21, 0.5, False), (40, 1.0, False), (7, 1.0, True), (12, 1.0, False),
    (7, 0.0, False), (21, 1.0, False), (3, 1.0, True), (5, 0.0, False), (7, 0.0, False), (21, 0.0, False),
    (21, 1.0, True), (40, 1.0, True), (3, 0.0, False), (21, 0.0, False), (12, 1.0, True), (5, 1.0, True),
    (7, 1.0, False), (21, 0.25, True), (40, 1.0, False), (3, 0.0, False),
]  # fmt: skip
LENGTHS = [6, 5, 6, 4, 3, 6, 5, 6, 1, 6, 4, 3, 6, 2, 2, 5, 4, 5, 6, 3, 6, 1]
# Logs of ratios outside, near the edges of and inside the bounds 0.8 and 1.2 (1.3 = e^0.26, 0.86 = e^-0.15).
LOG_RATIOS = [0.26, -0.36, 0.14, 0.7, -0.8, -0.15]
# Logs of the behavior policy's ratio to the sampler, on both sides of the bounds 0.5 and 2.
SAMPLER_LOG_RATIOS = [0.1, -0.9, 0.9, -0.2, 0.05]
LOG_PROBS = ("behavior_logp", "sampler_logp", "reference_logp", "current_logp")
PER_TOKEN = (*LOG_PROBS, "current_entropy", "value")


@dataclass(frozen=True)
class World:
    """A step, and the policy's logits and tokens at its positions."""

    step: TokenBatch
    logits: torch.Tensor
    actions: torch.Tensor
    critic: torch.Tensor
    garbage: torch.Tensor | None = None

    def rows(self, index):
        """Return the rows at `index`, in that order."""
        garbage = None if self.garbage is None else self.garbage[index]
        part = self.step.rows(index), self.logits[index], self.actions[index], self.critic[index]
        return World(*part, garbage)

    def step_with(self, **fields):
        """Return the world with some of the step's fields replaced."""
        return dataclasses.replace(self, step=dataclasses.replace(self.step, **fields))


def speak(world, logits, critic=None):
    """Return log-probs, entropies and values; the world's garbage stands outside the mask."""
    log_softmax = logits.log_softmax(dim=-1)
    logp = log_softmax.gather(-1, world.actions[..., None])[..., 0]
    entropy = -(log_softmax.exp() * log_softmax).sum(dim=-1)
    if world.garbage is not None:
        logp = torch.where(world.step.response_mask, logp, world.garbage)
        entropy = torch.where(world.step.response_mask, entropy, world.garbage)
    value = world.critic if critic is None else critic
    if world.garbage is not None:
        value = torch.where(world.step.response_mask, value, world.garbage)
    return PolicyTokens(logp, entropy, value)


def build_world(rows=tuple(ROWS), lengths=tuple(LENGTHS), dtype=torch.float64):
    """Return the step of `rows`, with finite garbage in masked positions."""
    count, tokens = len(rows), max(LENGTHS)
    generator = torch.Generator().manual_seed(5)
    mask = torch.arange(tokens)[None] < torch.tensor(lengths)[:, None]
    mask[mask.all(dim=1), 2] = False  # a hole, as tool output leaves one
    logits = torch.randn(count, tokens, VOCABULARY, generator=generator, dtype=torch.float64).to(dtype)
    actions = torch.randint(VOCABULARY, (count, tokens), generator=generator)
    step = TokenBatch(
        response_mask=mask,
        group=torch.tensor([question for question, _, _ in rows]),
        is_demonstration=torch.tensor([demonstration for _, _, demonstration in rows]),
        reward=torch.tensor([reward for _, reward, _ in rows], dtype=dtype),
    )
    critic = torch.rand(count, tokens, generator=generator, dtype=torch.float64).to(dtype)
    world = World(step, logits, actions, critic)
    offsets = torch.tensor(LOG_RATIOS, dtype=dtype)[(torch.arange(count)[:, None] + torch.arange(tokens)) % 6]
    spoken = speak(world, logits)
    behavior = torch.where(mask, spoken.logp - offsets, 3.0)
    apart = torch.tensor(SAMPLER_LOG_RATIOS, dtype=dtype)[
        (torch.arange(count)[:, None] + torch.arange(tokens)) % 5
    ]
    given = torch.arange(tokens) < (torch.arange(count) % 3)[:, None]
    return world.step_with(
        behavior_logp=behavior,
        sampler_logp=behavior - apart,
        reference_logp=behavior - 0.1,
        current_logp=torch.where(mask, spoken.logp, 3.0),
        current_entropy=torch.where(mask, spoken.entropy, -2.0),
        # The critic has moved since the step was planned, on both sides of a clip of 0.5.
        value=torch.where(mask, critic + offsets, 5.0),
        greedy_reward=(step.group % 2).to(dtype),
        prefix_mask=given & mask & ~step.is_demonstration[:, None],
        progress=0.3,
    )


def gradient(algorithm, world, parts=None, plan=None):
    """Return the gradient of a step's loss by logits and values, summed over the micro-batches `parts`."""
    logits, critic = (leaf.clone().requires_grad_() for leaf in (world.logits, world.critic))
    plan = plan or algorithm.plan(world.step)
    for index in [torch.arange(len(logits))] if parts is None else parts:
        part = world.rows(index)
        policy = speak(part, logits[index], critic[index])
        loss = surrogate(plan.rows(index).coefficients(policy, part.step), policy, part.step)
        assert loss.isfinite(), "a trainer refuses such a loss"
        loss.backward()
    return _joined(logits, critic)


def _joined(logits, critic):
    parts = (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in (logits, critic))
    by_logits, by_value = parts
    return torch.cat([by_logits, by_value[..., None]], dim=-1)


def autograd(loss, world):
    """Return the gradient of `loss(step, policy)`, differentiated as it stands, by logits and values."""
    logits, critic = (leaf.clone().requires_grad_() for leaf in (world.logits, world.critic))
    loss(world.step, speak(world, logits, critic)).backward()
    return _joined(logits, critic)


def assert_same(actual, expected, rtol=1e-12):
    """Compare by the largest entry, which must not be 0."""
    largest = expected.abs().max()
    assert largest > 0, "nothing to compare: the expected gradient is zero"
    difference = (actual - expected).abs().max()
    assert difference <= rtol * largest, f"differs by {difference / largest:.2e} of {largest:.2e}"
