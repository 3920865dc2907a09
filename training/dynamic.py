"""Dynamic sampling: questions whose rollouts all have one reward make way for others."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from core.rollouts import DynamicSampling
from training.data import Question
from training.responses import Response
from training.seeds import derive_seed

Ask = Callable[[Sequence[Question], int], Iterable[Response]]
"""Samples the rollouts of some questions, in a round of the step (0: the first)."""


class Sifted(NamedTuple):
    """The questions that a step trains on, and what it took to find them.

    `rounds` were asked after the first; `asked` questions in all of them, of which `mixed` have rollouts of
    different rewards.
    """

    questions: list[Question]
    rounds: int
    asked: int
    mixed: int


def sift(
    questions: Sequence[Question], ask: Ask, plan: DynamicSampling, pool: Sequence[Question], seed: int
) -> Sifted:
    """Ask questions, and others in the place of those without mixed rewards, until all are mixed.

    Epochs go on as without dynamic sampling: every step first asks those questions that it would have asked
    anyway. Replacements come on top, drawn from all that the step has not asked yet, as many as are missing.
    After `plan.rounds` rounds of them, or when no question is left, the step has the mixed ones that were
    found. Where there is none, it has its first questions, so that it is defined; its `mixed` is 0 then.

    Args:
        questions: What the step asks first; its size.
        ask: Samples rollouts.
        plan: How many rounds of replacements there may be.
        pool: What replacements are drawn from.
        seed: Of the step.
    """
    asked = list(questions)
    mixed = _mixed(questions, ask(questions, 0))
    rounds = 0
    while len(mixed) < len(questions) and rounds < plan.rounds:
        missing = len(questions) - len(mixed)
        others = _others(pool, {q.id for q in asked}, missing, derive_seed(seed, "replacements", rounds + 1))
        if not others:
            break
        rounds += 1
        asked += others
        mixed += _mixed(others, ask(others, rounds))
    return Sifted(mixed or list(questions), rounds, len(asked), len(mixed))


def _mixed(questions: Sequence[Question], rollouts: Iterable[Response]) -> list[Question]:
    """Return the questions whose rollouts have different rewards."""
    rewards: dict[int, set[float]] = {}
    for rollout in rollouts:
        rewards.setdefault(rollout.question, set()).add(rollout.reward)
    return [question for question in questions if len(rewards[question.id]) > 1]


def _others(pool: Sequence[Question], asked: Collection[int], count: int, seed: int) -> list[Question]:
    """Return up to `count` questions of the pool that were not asked."""
    left = [question for question in pool if question.id not in asked]
    return random.Random(seed).sample(left, min(count, len(left)))
