"""The responses of one step: rollouts sampled and graded, demonstrations looked up."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from training.config import RolloutConfig
from training.data import Question
from training.prompts import Tokenizer, decode
from training.responses import Response
from training.rollout import Sampled, Sampler, Sampling


class Verdict(NamedTuple):
    """Reward of a response (1: solved), and how the grader came to it."""

    reward: float
    outcome: str


Reward = Callable[[Sequence[tuple[str, str | tuple[str, ...]]]], Sequence[Verdict]]
"""Grades (response, gold answer) pairs, in order."""


@dataclass(frozen=True)
class Sources:
    """Where a step's responses come from."""

    sampler: Sampler
    tokenizer: Tokenizer
    reward: Reward
    config: RolloutConfig


@dataclass
class Batch:
    """The responses of one step, and what was seen while they were made."""

    responses: list[Response]
    rollouts: list[Sampled]
    outcomes: Counter[str]
    seconds_rollout: float = 0.0
    seconds_reward: float = 0.0


def collect(questions: Sequence[Question], needs: frozenset[str], sources: Sources, seed: int) -> Batch:
    """Return what an algorithm needs of rollouts and demonstrations for `questions`.

    Demonstrations carry reward 1: the training set holds verified ones.

    Raises:
        ValueError: There is neither a rollout nor a demonstration.
    """
    batch = Batch([], [], Counter())
    if "rollouts" in needs:
        _sample(questions, sources, seed, batch)
    if "demonstrations" in needs:
        batch.responses += [
            Response(q.id, q.prompt, q.demonstration, is_demonstration=True, reward=1.0)
            for q in questions
            if q.demonstration is not None
        ]
    if not batch.responses:
        raise ValueError(
            f"none of the questions {[q.id for q in questions]} has a demonstration, so the step has nothing "
            "to train on; leave such questions out of the training set"
        )
    return batch


def _sample(questions: Sequence[Question], sources: Sources, seed: int, batch: Batch) -> None:
    config = sources.config
    asked = [question for question in questions for _ in range(config.samples)]
    sampling = Sampling(config.temperature, 1.0, config.max_response_tokens, config.batch_size)
    started = time.perf_counter()
    batch.rollouts = sources.sampler.sample([question.prompt for question in asked], sampling, seed)
    sampled_at = time.perf_counter()
    texts = [response_text(sources.tokenizer, sampled.tokens) for sampled in batch.rollouts]
    pairs = [(text, question.answer) for text, question in zip(texts, asked, strict=True)]
    verdicts = sources.reward(pairs)
    batch.seconds_rollout, batch.seconds_reward = sampled_at - started, time.perf_counter() - sampled_at
    batch.outcomes = Counter(verdict.outcome for verdict in verdicts)
    batch.responses += [
        Response(question.id, question.prompt, sampled.tokens, False, verdict.reward, sampled.logp)
        for question, sampled, verdict in zip(asked, batch.rollouts, verdicts, strict=True)
    ]


def response_text(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Return a response as the grader reads it: special tokens kept, its end-of-sequence token not."""
    kept = tokens[:-1] if tokens and tokens[-1] == tokenizer.eos_token_id else tokens
    return decode(tokenizer, kept)


def share(part: float, whole: float) -> float | None:
    """Return part/whole, or None where there is no whole."""
    return part / whole if whole else None


def rollout_metrics(batch: Batch) -> dict[str, Any]:
    """Return what was seen of the rollouts; of the demonstrations' lengths where there are none."""
    rewards: dict[int, list[float]] = {}
    for response in batch.responses:
        if not response.is_demonstration:
            rewards.setdefault(response.question, []).append(float(response.reward == 1.0))
    rates = [[question, sum(solved) / len(solved)] for question, solved in rewards.items()]
    lengths = [len(s.tokens) for s in batch.rollouts] or [len(r.tokens) for r in batch.responses]
    logp = [value for sampled in batch.rollouts for value in sampled.logp]
    return {
        "rollout/solve_rate": share(math.fsum(rate for _, rate in rates), len(rates)),
        "rollout/solve_rates": rates,
        "rollout/response_tokens": share(sum(lengths), len(lengths)),
        "rollout/tokens": sum(len(sampled.tokens) for sampled in batch.rollouts),
        # The mean of −log π over what was sampled estimates the entropy of the sampling policy, without bias.
        "rollout/entropy": share(-math.fsum(logp), len(logp)),
        "rollout/truncated_share": share(sum(s.truncated for s in batch.rollouts), len(batch.rollouts)),
        "rollout/outcomes": dict(sorted(batch.outcomes.items())),
    }
