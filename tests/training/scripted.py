"""A rollout backend and a grader that do what a test says."""

from training.answers import Sources, Verdict
from training.config import RolloutConfig
from training.rollout import Sampled

QUESTION, ANSWER, END = 2, 3, 1


def digit(number):
    """Return the token of a digit in the tests' vocabulary."""
    return 5 + number


class ScriptedSampler:
    """Repeats the prompt's second token, once more for every response; every other one ends."""

    def __init__(self):
        self.asked = []

    def sample(self, prompts, sampling, seed):
        self.asked.append((list(prompts), sampling, seed))
        found = []
        for index, prompt in enumerate(prompts):
            end = (END,) if index % 2 == 0 else ()
            tokens = (prompt[1],) * (index + 1) + end
            found.append(Sampled(tokens, (-0.5,) * len(tokens), truncated=not end))
        return found


class Oracle:
    """Solves as many of a question's rollouts as it is told: the response is 1 where solved, else 0.

    Args:
        solved: For each question's id, how many of its rollouts, the first ones.
        greedy: Ids of the questions whose greedy response is right.
    """

    def __init__(self, solved, greedy=()):
        self.solved, self.greedy = solved, greedy
        self.asked = []

    def sample(self, prompts, sampling, seed):
        ids = [prompt[1] - digit(0) for prompt in prompts]
        self.asked.append((ids, sampling, seed))
        found, seen = [], {}
        for question in ids:
            seen[question] = seen.get(question, 0) + 1
            right = seen[question] <= self.solved.get(question, 0)
            if sampling.temperature == 0.0:
                right = question in self.greedy
            found.append(Sampled((digit(int(right)), END), (-0.25, -0.75), truncated=False))
        return found


def last_digit(pairs):
    """Solve responses that end in 1."""
    return [
        Verdict(float(text.endswith("1")), "right" if text.endswith("1") else "wrong") for text, _ in pairs
    ]


def scripted_sources(sampler, tokenizer, reward=last_digit, **settings):
    config = {"samples": 2, "temperature": 0.7, "max_response_tokens": 9, "batch_size": 3} | settings
    return Sources(sampler, tokenizer, reward, RolloutConfig(**config))
