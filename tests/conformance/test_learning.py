"""Every algorithm improves a tabular policy on questions of two tokens."""

import pytest
import torch

from algorithms import ALGORITHMS
from core import PolicyTokens, TokenBatch, surrogate

QUESTIONS, TOKENS, VOCABULARY, ROLLOUTS, STEPS = 4, 2, 3, 8, 24
ANSWERS = torch.arange(QUESTIONS)[:, None].expand(QUESTIONS, TOKENS) % VOCABULARY


def solved(table):
    """Return the exact share of questions that the policy solves."""
    log_probs = table.detach().log_softmax(-1).gather(-1, ANSWERS[..., None])
    return float(log_probs.sum(dim=(1, 2)).exp().mean())


def rows(table, generator):
    """Return questions and responses of a step: rollouts of the policy, then one demonstration a question."""
    question = torch.arange(QUESTIONS).repeat_interleave(ROLLOUTS)
    probabilities = table.detach().softmax(-1)[question].flatten(0, 1)
    sampled = torch.multinomial(probabilities, 1, generator=generator).view(-1, TOKENS)
    question = torch.cat([question, torch.arange(QUESTIONS)])
    return question, torch.cat([sampled, ANSWERS])


def speak(table, question, response):
    log_softmax = table[question].log_softmax(-1)
    entropy = -(log_softmax.exp() * log_softmax).sum(-1)
    return PolicyTokens(log_softmax.gather(-1, response[..., None])[..., 0], entropy)


def train(algorithm, table, steps, generator):
    optimizer = torch.optim.Adam([table], lr=0.15)
    for _ in range(steps):
        question, response = rows(table, generator)
        step = TokenBatch(
            response_mask=torch.ones(response.shape, dtype=torch.bool),
            group=question,
            is_demonstration=torch.arange(len(question)) >= QUESTIONS * ROLLOUTS,
            reward=(response == ANSWERS[question]).all(dim=1).float(),
            behavior_logp=speak(table, question, response).logp.detach(),
        )
        plan = algorithm.plan(step)
        for _ in range(2):
            policy = speak(table, question, response)
            optimizer.zero_grad()
            surrogate(plan.coefficients(policy, step), policy, step).backward()
            optimizer.step()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_improves_on_its_start(name):
    generator = torch.Generator().manual_seed(0)
    table = torch.zeros(QUESTIONS, TOKENS, VOCABULARY, requires_grad=True)
    start = solved(table)
    for stage in ALGORITHMS[name]().stages:
        train(stage.algorithm, table, round(stage.share * STEPS), generator)
    assert solved(table) > start + 0.4
