"""A step of rows that reaches every branch, and a policy with one softmax per token.

The policy's logits are a leaf of shape (rows, tokens, vocabulary), so that a gradient shows each token.
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


@dataclass(frozen=True)
class World:
    """A step, and the policy's logits and tokens at its positions."""

    step: TokenBatch
    logits: torch.Tensor
    actions: torch.Tensor
    garbage: torch.Tensor | None = None

    def rows(self, index):
        """Return the rows at `index`, in that order."""
        garbage = None if self.garbage is None else self.garbage[index]
        return World(self.step.rows(index), self.logits[index], self.actions[index], garbage)

    def step_with(self, **fields):
        """Return the world with some of the step's fields replaced."""
        return dataclasses.replace(self, step=dataclasses.replace(self.step, **fields))


def speak(world, logits):
    """Return the policy's log-probs and entropies; the world's garbage stands outside the mask."""
    log_softmax = logits.log_softmax(dim=-1)
    logp = log_softmax.gather(-1, world.actions[..., None])[..., 0]
    entropy = -(log_softmax.exp() * log_softmax).sum(dim=-1)
    if world.garbage is not None:
        logp = torch.where(world.step.response_mask, logp, world.garbage)
        entropy = torch.where(world.step.response_mask, entropy, world.garbage)
    return PolicyTokens(logp, entropy)


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
    world = World(step, logits, actions)
    offsets = torch.tensor(LOG_RATIOS, dtype=dtype)[(torch.arange(count)[:, None] + torch.arange(tokens)) % 6]
    behavior = torch.where(mask, speak(world, logits).logp - offsets, 3.0)
    return world.step_with(
        behavior_logp=behavior, sampler_logp=behavior + 0.01, reference_logp=behavior - 0.1
    )


def gradient(algorithm, world, parts=None, plan=None):
    """Return the gradient of a step's loss by the logits, summed over the micro-batches `parts`."""
    logits = world.logits.clone().requires_grad_()
    plan = plan or algorithm.plan(world.step)
    for index in [torch.arange(len(logits))] if parts is None else parts:
        part = world.rows(index)
        policy = speak(part, logits[index])
        loss = surrogate(plan.rows(index).coefficients(policy, part.step), policy, part.step)
        assert loss.isfinite(), "a trainer refuses such a loss"
        loss.backward()
    return torch.zeros_like(logits) if logits.grad is None else logits.grad


def autograd(loss, world):
    """Return the gradient of `loss(step, policy)`, differentiated as it stands, by the logits."""
    logits = world.logits.clone().requires_grad_()
    loss(world.step, speak(world, logits)).backward()
    return logits.grad


def assert_same(actual, expected, rtol=1e-12):
    """Compare by the largest entry, which must not be 0."""
    largest = expected.abs().max()
    assert largest > 0, "nothing to compare: the expected gradient is zero"
    difference = (actual - expected).abs().max()
    assert difference <= rtol * largest, f"differs by {difference / largest:.2e} of {largest:.2e}"
