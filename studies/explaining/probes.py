"""Steps on which algorithms are tried: every solve rate, ratio and optional field, under given settings.

A step under the training settings has what the trainer would hand to an algorithm. Each of the settings can
be relaxed, since what is true under them need not be true elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from core import PolicyTokens, TokenBatch
from studies.explaining.conditions import GRADED, LEARNT, RESIZED, STALE, UNEVEN

PROGRESS = (0.0, 0.01, 0.15, 0.55, 1.0)
TOKENS = 8
# Logs of ratios: as close to 1 as the usual clips are, farther, and farther than the usual caps.
SPREADS = (0.02, 0.4, 1.8, 4.0)
REWARDS = (0.0, 0.25, 1.0, 0.5, 0.75, 0.0, 1.0)
MANY = 100
SIZES = (10, 16, 1, MANY, 3)
"""Rollouts of each question in successive steps, where that is relaxed; solve rates are as low as 0.01."""


@dataclass(frozen=True, eq=False)
class Probe:
    """A step with every optional field, and the policy whose coefficients are asked for."""

    step: TokenBatch
    policy: PolicyTokens


@dataclass(frozen=True)
class Row:
    """What is drawn by hand for a row; all else is drawn at random.

    Args:
        group: The question.
        is_demonstration: Whether it is one.
        reward: Of the whole row.
        prefix: Whether it may begin with given tokens, as many as are drawn.
    """

    group: int
    is_demonstration: bool
    reward: float
    prefix: bool = False


@lru_cache(maxsize=3)
def long_run(samples: int, relaxed: frozenset[str], steps: int = 90) -> tuple[Probe, ...]:
    """Return the steps of a run that is long enough for controllers to settle at its end.

    Args:
        samples: Rollouts of each question, unless that is relaxed.
        relaxed: Which settings do not hold.
        steps: How many.
    """
    return tuple(
        make_probe(
            _rows(samples, relaxed, step, questions=12),
            relaxed,
            min(1.0, 3 * step / steps),
            seed=step % len(PROGRESS),
        )
        for step in range(steps)
    )


@lru_cache(maxsize=64)
def probes(samples: int, relaxed: frozenset[str]) -> tuple[Probe, ...]:
    """Return successive steps of one run, from its beginning to its end, with the same questions.

    Args:
        samples: Rollouts of each question, unless that is relaxed.
        relaxed: Which settings do not hold.
    """
    return tuple(
        make_probe(_rows(samples, relaxed, index), relaxed, progress, seed=index)
        for index, progress in enumerate(PROGRESS)
    )


def _rows(samples: int, relaxed: frozenset[str], shift: int, questions: int = 1) -> list[Row]:
    """Return the rows of a step of at least some `questions`, each with another solve rate in every step."""
    if RESIZED in relaxed:
        samples = SIZES[shift % len(SIZES)]
    rates = _solved_counts(samples)
    rates *= -(-questions // len(rates))
    rows: list[Row] = []
    for question in range(len(rates)):
        solved = rates[(question + 2 * shift) % len(rates)]
        size, demonstrations = samples, 1
        if UNEVEN in relaxed:
            size, demonstrations = (1, 2, 3, samples + 1, 5)[question % 5], (1, 0, 2, 1)[question % 4]
            solved = round(solved * size / samples)
        for index in range(size):
            reward = float(index < solved)
            if GRADED in relaxed:
                reward = REWARDS[(index + question + shift) % len(REWARDS)] if 0 < solved < size else reward
            rows.append(Row(7 * question + 3, False, reward, prefix=True))
        graded = GRADED in relaxed and question % 3 == 1
        rows += [Row(7 * question + 3, True, 0.5 if graded else 1.0)] * demonstrations
    # Neither groups nor sources lie in one piece.
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(shift))
    return [rows[index] for index in order.tolist()]


def _solved_counts(samples: int) -> list[int]:
    """Return numbers of solved rollouts from none to all, of few kinds; the fewer solved the more often."""
    kinds = min(samples, 8 if samples < MANY else 2)
    counts = {round(samples * kind / kinds) for kind in range(kinds + 1)}
    return [*sorted({*counts, min(1, samples), max(0, samples - 1)}), 0, 0, min(1, samples)]


def make_probe(rows: Sequence[Row], relaxed: frozenset[str], progress: float, seed: int) -> Probe:
    """Return a step of `rows` at a share `progress` of the run, everything else drawn from `seed`."""
    draw = torch.Generator().manual_seed(1000 + seed)
    mask = _mask(len(rows), draw)
    group = torch.tensor([row.group for row in rows])
    demonstration = torch.tensor([row.is_demonstration for row in rows])
    reward = torch.tensor([row.reward for row in rows], dtype=torch.float64)
    prefix = torch.tensor([row.prefix for row in rows])[:, None] & _prefix(mask, draw)
    logp = -(10.0 ** _uniform(mask.shape, draw, -3.0, 1.0))
    moved = _moves(mask.shape, draw)
    behavior = _at_most_certain(logp - moved) if STALE in relaxed else logp
    mismatch, away = _moves(mask.shape, draw), _moves(mask.shape, draw)
    entropy, value = _uniform(mask.shape, draw, 0.05, 2.0), _uniform(mask.shape, draw, -0.2, 1.1)
    learnt = value + (0.6 * _normal(mask.shape, draw) if LEARNT in relaxed else 0.0)
    greedy = (group % 3 == 1).double() if GRADED not in relaxed else (group % 5).double() / 4
    step = TokenBatch(
        response_mask=mask,
        group=group,
        is_demonstration=demonstration,
        reward=reward,
        behavior_logp=behavior,
        # The rollout engine says nothing of rows that it did not sample.
        sampler_logp=torch.where(demonstration[:, None], 0.0, _at_most_certain(behavior + mismatch)),
        reference_logp=_at_most_certain(logp + away),
        current_logp=logp,
        current_entropy=entropy,
        value=value,
        token_reward=_spread(reward, mask, draw) if GRADED in relaxed else None,
        greedy_reward=greedy,
        advantage=_normal(mask.shape, draw),
        prefix_mask=prefix,
        progress=progress,
    )
    return Probe(step, PolicyTokens(logp, entropy, learnt))


def _mask(rows: int, draw: torch.Generator) -> Tensor:
    lengths = torch.randint(1, TOKENS + 1, (rows,), generator=draw)
    return torch.arange(TOKENS) < lengths[:, None]


def _prefix(mask: Tensor, draw: torch.Generator) -> Tensor:
    """Return the first tokens of each row, any number of them but the last."""
    share = torch.rand(len(mask), generator=draw)
    return torch.arange(TOKENS) < (share * mask.sum(dim=1)).long()[:, None]


def _uniform(shape: torch.Size, draw: torch.Generator, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=draw, dtype=torch.float64)


def _normal(shape: torch.Size, draw: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=draw, dtype=torch.float64)


def _moves(shape: torch.Size, draw: torch.Generator) -> Tensor:
    """Return logs of ratios, each token's within one of the spreads."""
    rows, tokens = shape
    place = (torch.arange(rows)[:, None] + torch.arange(tokens)) % len(SPREADS)
    return torch.tensor(SPREADS, dtype=torch.float64)[place] * _uniform(shape, draw, -1.0, 1.0)


def _at_most_certain(logp: Tensor) -> Tensor:
    return logp.clamp(max=-1e-4)


def _spread(reward: Tensor, mask: Tensor, draw: torch.Generator) -> Tensor:
    """Return rewards of single tokens that add up to the row's."""
    share = torch.where(mask, _uniform(mask.shape, draw, 0.1, 1.0), 0.0)
    return reward[:, None] * share / share.sum(dim=1, keepdim=True)
