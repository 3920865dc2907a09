"""Every algorithm improves a tabular policy on questions of two tokens."""

import pytest
import torch

from algorithms import ALGORITHMS
from core import PolicyTokens, TokenBatch, surrogate

QUESTIONS, TOKENS, VOCABULARY, ROLLOUTS, STEPS = 4, 2, 3, 8, 24
ANSWERS = torch.arange(QUESTIONS)[:, None].expand(QUESTIONS, TOKENS) % VOCABULARY
IS_DEMONSTRATION = torch.arange(QUESTIONS * (ROLLOUTS + 1)) >= QUESTIONS * ROLLOUTS


class Learner:
    """A table of logits and one of values, with what the trainer keeps from step to step."""

    def __init__(self):
        self.table = torch.zeros(QUESTIONS, TOKENS, VOCABULARY, requires_grad=True)
        self.critic = torch.zeros(QUESTIONS, TOKENS, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.table, self.critic], lr=0.15)
        self.generator = torch.Generator().manual_seed(0)
        self.memory, self.failed = {}, set()

    def solved(self):
        """Return the exact share of questions that the policy solves."""
        log_probs = self.table.detach().log_softmax(-1).gather(-1, ANSWERS[..., None])
        return float(log_probs.sum(dim=(1, 2)).exp().mean())

    def speak(self, question, response):
        log_softmax = self.table[question].log_softmax(-1)
        entropy = -(log_softmax.exp() * log_softmax).sum(-1)
        logp = log_softmax.gather(-1, response[..., None])[..., 0]
        return PolicyTokens(logp, entropy, self.critic[question])

    def rows(self, prefix, progress):
        """Return questions, responses and given tokens: rollouts, then one demonstration a question."""
        question = torch.arange(QUESTIONS).repeat_interleave(ROLLOUTS)
        probabilities = self.table.detach().softmax(-1)[question].flatten(0, 1)
        sampled = torch.multinomial(probabilities, 1, generator=self.generator).view(-1, TOKENS)
        given = torch.zeros_like(sampled, dtype=torch.bool)
        if prefix is not None:
            draw = torch.rand(len(question), generator=self.generator)
            continued = torch.arange(ROLLOUTS).repeat(QUESTIONS) < (prefix.rollouts or ROLLOUTS)
            length = (prefix.length(draw, progress) * TOKENS).round().clamp(max=TOKENS - 1) * continued
            given = torch.arange(TOKENS) < length[:, None]
            sampled = torch.where(given, ANSWERS[question], sampled)
        given = torch.cat([given, torch.zeros(QUESTIONS, TOKENS, dtype=torch.bool)])
        return torch.cat([question, torch.arange(QUESTIONS)]), torch.cat([sampled, ANSWERS]), given

    def step_of(self, algorithm, progress):
        """Return the step's rows as a trainer hands them to the plan, and their responses."""
        question, response, given = self.rows(algorithm.rollouts.prefix, progress)
        now = self.speak(question, response)
        greedy = (self.table.detach().argmax(-1) == ANSWERS).all(dim=1).float()
        step = TokenBatch(
            response_mask=torch.ones(response.shape, dtype=torch.bool),
            group=question,
            is_demonstration=IS_DEMONSTRATION,
            reward=(response == ANSWERS[question]).all(dim=1).float(),
            behavior_logp=now.logp.detach(),
            sampler_logp=now.logp.detach(),
            reference_logp=torch.full(response.shape, 1 / VOCABULARY).log(),
            current_logp=now.logp.detach(),
            current_entropy=now.entropy.detach(),
            value=now.value.detach(),
            greedy_reward=greedy[question],
            prefix_mask=given,
            progress=progress,
            memory=self.memory,
        )
        return step, response

    def train(self, algorithm, steps):
        for done in range(steps):
            step, response = self.step_of(algorithm, done / steps)
            self.ascend(algorithm, step, response)
            if algorithm.aside is not None:
                self.step_aside(algorithm.aside, step)

    def ascend(self, algorithm, step, response):
        plan = algorithm.plan(step)
        self.memory = plan.memory
        for _ in range(2):
            policy = self.speak(step.group, response)
            self.optimizer.zero_grad()
            surrogate(plan.coefficients(policy, step), policy, step).backward()
            self.optimizer.step()

    def step_aside(self, aside, step):
        """Remember the questions that nothing solved; imitate them once there are enough."""
        for question in range(QUESTIONS):
            rewards = step.reward[(step.group == question) & ~IS_DEMONSTRATION]
            if (rewards == 1.0).double().mean() <= aside.threshold:
                self.failed.add(question)
        if len(self.failed) >= aside.questions:
            kept = torch.tensor(
                [IS_DEMONSTRATION[i] and int(q) in self.failed for i, q in enumerate(step.group)]
            )
            index = torch.nonzero(kept).flatten()
            self.ascend(aside.algorithm, step.rows(index), ANSWERS[step.group[index]])
            self.failed = set()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_improves_on_its_start(name):
    learner = Learner()
    start = learner.solved()
    for stage in ALGORITHMS[name](**({"questions": 2} if name == "relift" else {})).stages:
        learner.train(stage.algorithm, round(stage.share * STEPS))
    assert learner.solved() > start + 0.4
