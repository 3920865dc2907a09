"""What the policy answers when it is asked: sampled, and graded."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from core.prompts import Tokenizer
from training.config import RolloutConfig
from training.data import Question
from training.ranks import Ranks
from training.responses import Response
from training.rollout import Sampled, Sampler, Sampling
from training.tokens import decode


class Verdict(NamedTuple):
    """Reward of a response (1: solved), and how the grader came to it."""

    reward: float
    outcome: str


Reward = Callable[[Sequence[tuple[str, str | tuple[str, ...]]]], Sequence[Verdict]]
"""Grades (response, gold answer) pairs, in order."""


@dataclass(frozen=True)
class Sources:
    """Where a step's responses come from.

    Args:
        sampler: The policy's answers.
        tokenizer: The policy's.
        reward: The grader.
        config: How rollouts are sampled.
        ranks: The processes that share the grading.
    """

    sampler: Sampler
    tokenizer: Tokenizer
    reward: Reward
    config: RolloutConfig
    ranks: Ranks = field(default_factory=Ranks)


class Asked(NamedTuple):
    """A question, and the tokens that the response to it is given to begin with."""

    question: Question
    given: tuple[int, ...] = ()


class Rollout(NamedTuple):
    """A response that was sampled and graded, whether or not it is trained on."""

    response: Response
    outcome: str
    truncated: bool

    @property
    def sampled_logp(self) -> tuple[float, ...]:
        """Log-prob of each token that was sampled, not given."""
        return self.response.sampler_logp[self.response.prefix_tokens :]


class Answers(NamedTuple):
    """Rollouts, and the seconds that sampling and grading took."""

    rollouts: list[Rollout]
    seconds_rollout: float
    seconds_reward: float


def answer(asked: Sequence[Asked], sources: Sources, temperature: float, seed: int) -> Answers:
    """Return one graded response to each of the questions.

    What a response is given counts towards `rollout.max_response_tokens`, and the grader reads it, too.

    Args:
        asked: Questions, a rollout each.
        sources: What samples, and what grades.
        temperature: Of the sampling; 0 is greedy.
        seed: Of the sampling.
    """
    config = sources.config
    limits = tuple(config.max_response_tokens - len(given) for _, given in asked)
    # One limit where nothing is given: a sampler need not know of others.
    same = limits if any(given for _, given in asked) else config.max_response_tokens
    sampling = Sampling(temperature, 1.0, same, config.batch_size)
    started = time.perf_counter()
    found = sources.sampler.sample([q.prompt + given for q, given in asked], sampling, seed)
    sampled_at = time.perf_counter()
    texts = [
        response_text(sources.tokenizer, given + sampled.tokens)
        for (_, given), sampled in zip(asked, found, strict=True)
    ]
    pairs = [(text, q.answer) for text, (q, _) in zip(texts, asked, strict=True)]
    verdicts = sources.ranks.spread(pairs, sources.reward)
    rollouts = [_rollout(*each) for each in zip(asked, found, verdicts, strict=True)]
    return Answers(rollouts, sampled_at - started, time.perf_counter() - sampled_at)


def _rollout(asked: Asked, sampled: Sampled, verdict: Verdict) -> Rollout:
    question, given = asked
    response = Response(
        question.id,
        question.prompt,
        given + sampled.tokens,
        is_demonstration=False,
        reward=verdict.reward,
        sampler_logp=(0.0,) * len(given) + sampled.logp,
        prefix_tokens=len(given),
    )
    return Rollout(response, verdict.outcome, sampled.truncated)


def response_text(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Return a response as the grader reads it: special tokens kept, its end-of-sequence token not."""
    kept = tokens[:-1] if tokens and tokens[-1] == tokenizer.eos_token_id else tokens
    return decode(tokenizer, kept)
