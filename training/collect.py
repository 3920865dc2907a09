"""The responses of one step: rollouts sampled and graded, demonstrations looked up."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.rollouts import RolloutPlan
from training.answers import Asked, Rollout, Sources, answer
from training.data import Question
from training.dynamic import Sifted, sift
from training.numbers import share
from training.prefixes import opening, prefix_share
from training.responses import Response
from training.seeds import derive_seed


@dataclass(frozen=True)
class Request:
    """What an algorithm asks for a step.

    Args:
        needs: What it reads, by the names of core/provided.py.
        seed: Of the step's draws.
        plan: What it asks of the rollouts beyond plain samples.
        progress: Share of the stage's steps that are done.
        pool: Questions that may take the place of others.
    """

    needs: frozenset[str]
    seed: int
    plan: RolloutPlan = RolloutPlan()
    progress: float = 0.0
    pool: Sequence[Question] = ()


@dataclass
class Batch:
    """The responses that a step trains on, and what was seen while they were made.

    Args:
        responses: Rows of the step.
        rollouts: All that were sampled for it; dynamic sampling drops some from the rows.
        greedy: Responses that serve as baselines, and are not trained on.
        sifted: What dynamic sampling came to; None without it.
        seconds_rollout: Time spent on sampling.
        seconds_reward: Time spent on grading.
    """

    responses: list[Response] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)
    greedy: list[Rollout] = field(default_factory=list)
    sifted: Sifted | None = None
    seconds_rollout: float = 0.0
    seconds_reward: float = 0.0


def collect(questions: Sequence[Question], request: Request, sources: Sources) -> Batch:
    """Return what an algorithm needs of rollouts and demonstrations for `questions`.

    Demonstrations carry reward 1: the training set holds verified ones.

    Raises:
        ValueError: There is neither a rollout nor a demonstration.
    """
    asking = _Asking(request, sources)
    batch = asking.batch
    if "rollouts" in request.needs:
        questions = asking.rollouts(questions)
    if "demonstrations" in request.needs:
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
    if "greedy_reward" in request.needs:
        rewards = asking.greedy_rewards(questions)
        batch.responses = [
            dataclasses.replace(row, greedy_reward=rewards[row.question]) for row in batch.responses
        ]
    return batch


class _Asking:
    """Asks the policy; what it answers, and how long that took, goes into `batch`."""

    def __init__(self, request: Request, sources: Sources) -> None:
        self.request, self.sources = request, sources
        self.batch = Batch()

    def rollouts(self, questions: Sequence[Question]) -> Sequence[Question]:
        """Sample the rollouts to train on, and return the questions that they answer."""
        request, batch = self.request, self.batch
        if request.plan.dynamic is None:
            self._round(questions, 0)
        else:
            batch.sifted = sift(questions, self._round, request.plan.dynamic, request.pool, request.seed)
            questions = batch.sifted.questions
        trained = {question.id for question in questions}
        batch.responses = [r.response for r in batch.rollouts if r.response.question in trained]
        return questions

    def greedy_rewards(self, questions: Sequence[Question]) -> dict[int, float]:
        """Return the reward of the greedy response to each question."""
        self.batch.greedy = self._answer([Asked(question) for question in questions], 0.0, self.request.seed)
        return {rollout.response.question: rollout.response.reward for rollout in self.batch.greedy}

    def _round(self, questions: Sequence[Question], number: int) -> list[Response]:
        seed = self.request.seed if number == 0 else derive_seed(self.request.seed, "round", number)
        asked = [Asked(question, given) for question in questions for given in self._openings(question)]
        found = self._answer(asked, self.sources.config.temperature, seed)
        self.batch.rollouts += found
        return [rollout.response for rollout in found]

    def _openings(self, question: Question) -> list[tuple[int, ...]]:
        """Return what each of a question's rollouts is given to begin with."""
        prefix, config = self.request.plan.prefix, self.sources.config
        if prefix is None or question.demonstration is None:
            return [()] * config.samples
        part = prefix_share(
            prefix.length, self.request.progress, derive_seed(self.request.seed, "prefix", question.id)
        )
        end, limit = self.sources.tokenizer.eos_token_id, config.max_response_tokens
        given = opening(question.demonstration, part, end, limit)
        count = config.samples if prefix.rollouts is None else min(prefix.rollouts, config.samples)
        return [given] * count + [()] * (config.samples - count)

    def _answer(self, asked: Sequence[Asked], temperature: float, seed: int) -> list[Rollout]:
        answers = answer(asked, self.sources, temperature, seed)
        self.batch.seconds_rollout += answers.seconds_rollout
        self.batch.seconds_reward += answers.seconds_reward
        return answers.rollouts


def solve_rates(rollouts: Sequence[Rollout]) -> dict[int, float]:
    """Return the share of its rollouts that were solved (reward 1), for each question, in order."""
    solved: dict[int, list[float]] = {}
    for response, _, _ in rollouts:
        solved.setdefault(response.question, []).append(float(response.reward == 1.0))
    return {question: sum(found) / len(found) for question, found in solved.items()}


def rollout_metrics(batch: Batch) -> dict[str, Any]:
    """Return what was seen of all rollouts, dropped ones too, or of the demonstrations' lengths without any.

    `rollout/tokens` counts every token that was sampled: those of greedy responses too, prefixes not.
    """
    rollouts = batch.rollouts
    rates = solve_rates(rollouts)
    lengths = [len(r.response.tokens) for r in rollouts] or [len(row.tokens) for row in batch.responses]
    logp = [value for rollout in rollouts for value in rollout.sampled_logp]
    sampled = [len(r.response.tokens) - r.response.prefix_tokens for r in rollouts + batch.greedy]
    return {
        "rollout/solve_rate": share(math.fsum(rates.values()), len(rates)),
        "rollout/solve_rates": [[question, rate] for question, rate in rates.items()],
        "rollout/response_tokens": share(sum(lengths), len(lengths)),
        "rollout/tokens": sum(sampled),
        # The mean of −log π over what was sampled estimates the entropy of the sampling policy, without bias.
        "rollout/entropy": share(-math.fsum(logp), len(logp)),
        "rollout/truncated_share": share(sum(r.truncated for r in rollouts), len(rollouts)),
        "rollout/outcomes": dict(sorted(Counter(r.outcome for r in rollouts).items())),
    }


def wish_metrics(batch: Batch, request: Request) -> dict[str, Any]:
    """Return what was seen of an algorithm's wishes beyond plain samples, for those that it has."""
    found: dict[str, Any] = {}
    if request.plan.prefix is not None:
        given = [rollout.response.prefix_tokens for rollout in batch.rollouts]
        tokens = [len(rollout.response.tokens) for rollout in batch.rollouts]
        plain = [r.response.reward == 1.0 for r in batch.rollouts if not r.response.prefix_tokens]
        found["rollout/prefix_share"] = share(sum(given), sum(tokens))
        found["rollout/prefix_rows"] = sum(count > 0 for count in given)
        # The other solve rates count what was solved with the demonstration's help, as gates do.
        found["rollout/plain_solve_rate"] = share(sum(plain), len(plain))
    if "greedy_reward" in request.needs:
        solved = sum(rollout.response.reward == 1.0 for rollout in batch.greedy)
        found["rollout/greedy_solve_rate"] = share(solved, len(batch.greedy))
    if batch.sifted is not None:
        found["rollout/dynamic_rounds"] = batch.sifted.rounds
        found["rollout/dynamic_kept_share"] = batch.sifted.mixed / batch.sifted.asked
    return found
