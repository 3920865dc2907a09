"""Steps drawn at random: several questions, demonstrations, holes, empty responses, and garbage outside."""

import dataclasses

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from core import TokenBatch

REWARDS = torch.tensor([0.0, 1.0, 0.1, 0.7, 1.0, 0.0], dtype=torch.float64)
FIELDS = ("behavior_logp", "reference_logp", "current_logp", "current_entropy", "value")


def for_any_seed(test):
    """Run a test for many seeds."""
    return settings(max_examples=30)(given(seed=st.integers(0, 10_000))(test))


def random_step(seed, rows=9, tokens=5, dtype=torch.float64, by_token=False):
    """Return a step of a few questions; about a quarter of its rows are demonstrations."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    mask = numbers(rows, tokens) > -0.8
    mask[numbers(rows) > 1.3] = False
    drawn = REWARDS[torch.randint(len(REWARDS), (rows,), generator=generator)]
    spoken = {name: torch.where(mask, numbers(rows, tokens) - 1.0, torch.nan).to(dtype) for name in FIELDS}
    return TokenBatch(
        response_mask=mask,
        group=torch.randint(4, (rows,), generator=generator) * 3,
        is_demonstration=numbers(rows) > 0.7,
        reward=drawn.to(dtype),
        token_reward=torch.where(mask, numbers(rows, tokens), torch.nan).to(dtype) if by_token else None,
        greedy_reward=numbers(rows).to(dtype),
        **spoken,
    )


def padded(step, left=2, right=3):
    """Return the step with columns more that belong to no response, NaN standing there."""
    wider = {
        name: pad(tensor, (left, right), value=False if tensor.dtype == torch.bool else torch.nan)
        for name, tensor in step.tensors()
        if tensor.ndim == 2
    }
    return dataclasses.replace(step, **wider)


def renumbered(step):
    """Return the step with other ids for its questions, in another order."""
    return dataclasses.replace(step, group=100 - step.group**2)


def shuffled(step, seed):
    """Return the step's rows in another order, and that order."""
    order = torch.randperm(len(step.group), generator=torch.Generator().manual_seed(seed))
    return step.rows(order), order
