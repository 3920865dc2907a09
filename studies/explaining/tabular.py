"""A policy small enough that every group of rollouts can be enumerated, with its probability.

Each question has two tokens, one of which ends the response; from some position on it goes on for sure. The
policy has one logit for each question and position. The expectation of an estimator's gradient is then a
finite sum over all groups that could be sampled, and the true gradient of the expected reward is known.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement, product

import torch
from torch import Tensor

from core import Algorithm, PolicyTokens, TokenBatch
from studies.explaining.asking import ask
from studies.explaining.probes import Probe

LOGITS = ((0.4, -0.3, 0.8), (-0.9, 0.6, 0.1))
VALUES = ((0.3, 0.7, 0.2), (0.6, 0.1, 0.5))
PROGRESS = 0.5


@dataclass(frozen=True)
class Table:
    """A tabular policy, and the reward of each response.

    Args:
        rewards: By question, then by response in order of length; the last is the one that was cut off.
        samples: Rollouts of each question.
        tilt: Added to all logits, so that tables differ in their policies too.
        tail: Tokens that the last response goes on for, for sure: few responses differ much in length so.
    """

    rewards: tuple[tuple[float, ...], ...]
    samples: int
    tilt: float = 0.0
    tail: int = 0

    @property
    def questions(self) -> int:
        """How many questions a step asks."""
        return len(self.rewards)

    @property
    def responses(self) -> int:
        """How many responses a question has."""
        return len(self.rewards[0])

    @property
    def longest(self) -> int:
        """Most tokens of a response."""
        return self.responses - 1 + self.tail

    @cached_property
    def logits(self) -> Tensor:
        """Of the token that goes on; shape (questions, positions)."""
        found = torch.tensor(LOGITS, dtype=torch.float64)[: self.questions, : self.responses - 1]
        return torch.nn.functional.pad(found + self.tilt, (0, self.tail), value=torch.inf)

    @cached_property
    def last(self) -> Tensor:
        """Whether each response is the one that was cut off; shape (responses, 1)."""
        return torch.arange(self.responses)[:, None] == self.responses - 1

    @cached_property
    def stops(self) -> Tensor:
        """Whether each response ends at a position, by the policy's choice; shape (responses, positions)."""
        return torch.eye(self.responses, self.longest, dtype=torch.bool) & ~self.last

    @cached_property
    def mask(self) -> Tensor:
        """Tokens of each response; shape (responses, positions)."""
        return (torch.arange(self.longest) <= torch.arange(self.responses)[:, None]) | self.last

    @cached_property
    def logp(self) -> Tensor:
        """Log-probs of each token; shape (questions, responses, positions)."""
        sign = torch.where(self.stops, -1.0, 1.0).double()
        return torch.nn.functional.logsigmoid(sign * self.logits[:, None, :])

    @cached_property
    def score(self) -> Tensor:
        """Derivative of each token's log-prob by the logit of its place, 0 outside the response."""
        goes_on = (~self.stops).double()
        return torch.where(self.mask, goes_on - self.logits.sigmoid()[:, None, :], 0.0)

    @cached_property
    def chances(self) -> Tensor:
        """Probability of each response; shape (questions, responses)."""
        return torch.where(self.mask, self.logp, 0.0).sum(dim=2).exp()

    def true_gradient(self) -> Tensor:
        """Return ∇ of the expected reward, averaged over questions, by the logits."""
        rewards = torch.tensor(self.rewards, dtype=torch.float64)
        by_response = self.score * (self.chances * rewards)[:, :, None]
        return by_response.sum(dim=1) / self.questions

    def groups(self) -> Iterator[tuple[float, tuple[tuple[int, ...], ...]]]:
        """Yield the probability of the rollouts of all questions, and their responses.

        Orders are not told apart: no estimator depends on the order of rows.
        """
        single = [_groups_of(self.chances[question], self.samples) for question in range(self.questions)]
        for choice in product(*single):
            yield math.prod(chance for chance, _ in choice), tuple(drawn for _, drawn in choice)

    def rows(self) -> Probe:
        """Return every rollout that there is, question by question, then a demonstration of each question."""
        question = torch.arange(self.questions).repeat_interleave(self.responses)
        response = torch.arange(self.responses).repeat(self.questions)
        question = torch.cat([question, torch.arange(self.questions)])
        response = torch.cat([response, torch.ones(self.questions, dtype=torch.long)])
        demonstration = torch.arange(len(question)) >= self.questions * self.responses
        rewards = torch.tensor(self.rewards, dtype=torch.float64)
        logp, chance = self.logp[question, response], self.logits.sigmoid()[question]
        entropy = -torch.xlogy(chance, chance) - torch.xlogy(1 - chance, 1 - chance)
        places = torch.arange(self.longest) % len(VALUES[0])
        value = torch.tensor(VALUES, dtype=torch.float64)[: self.questions, places]
        greedy = torch.tensor([self._greedy(index) for index in range(self.questions)], dtype=torch.float64)
        step = TokenBatch(
            response_mask=self.mask[response],
            group=question,
            is_demonstration=demonstration,
            reward=torch.where(demonstration, 1.0, rewards[question, response]),
            behavior_logp=logp,
            sampler_logp=torch.where(demonstration[:, None], 0.0, logp),
            reference_logp=logp * 0.9 - 0.05,
            current_logp=logp,
            current_entropy=entropy,
            value=value[question],
            greedy_reward=greedy[question],
            advantage=rewards[question, response][:, None].expand_as(logp),
            progress=PROGRESS,
        )
        return Probe(step, PolicyTokens(logp, entropy, value[question]))

    def _greedy(self, question: int) -> float:
        stops = (self.logits[question] < 0).nonzero().flatten().tolist()
        return self.rewards[question][stops[0] if stops else -1]


def _groups_of(chances: Tensor, samples: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return every multiset of `samples` responses with its probability."""
    found = []
    for drawn in combinations_with_replacement(range(len(chances)), samples):
        orders = math.factorial(samples) / math.prod(map(math.factorial, Counter(drawn).values()))
        found.append((orders * math.prod(float(chances[response]) for response in drawn), drawn))
    return found


def expected_gradient(algorithm: Algorithm, table: Table, terms: Sequence[int]) -> Tensor:
    """Return the expectation of the gradient that some terms give the logits through rollouts.

    Args:
        algorithm: The estimator; its plan sees demonstrations, but their gradient is left out.
        table: The policy, which is the behavior policy too.
        terms: Indices of the terms that count.
    """
    everything, responses = table.rows(), table.responses
    score = table.score.reshape(-1, table.longest)
    demonstrations = torch.arange(table.questions) + table.questions * responses
    total = torch.zeros(table.questions, table.longest, dtype=torch.float64)
    for chance, drawn in table.groups():
        rows = [question * responses + response for question, one in enumerate(drawn) for response in one]
        probe = _rows_of(everything, torch.cat([torch.tensor(rows), demonstrations]))
        found = ask(algorithm, probe)
        weight = torch.zeros(len(probe.step.group), table.longest, dtype=torch.float64)
        for term in terms:
            weight[found.given] += found.coefficients[term].logp
        rollouts = torch.tensor(rows)
        total.index_add_(0, rollouts // responses, chance * weight[: len(rows)] * score[rollouts])
    return total


def _rows_of(probe: Probe, index: Tensor) -> Probe:
    logp, entropy, value = probe.policy.logp, probe.policy.entropy, probe.policy.value
    assert entropy is not None
    assert value is not None
    policy = PolicyTokens(logp[index], entropy[index], value[index])
    return dataclasses.replace(probe, step=probe.step.rows(index), policy=policy)
