"""A policy of three lines and what it is asked, for the tests of running and recording."""

import json
import random
import re
from pathlib import Path

from evaluation.config import EvalConfig
from evaluation.language_model import Generated, Policy
from evaluation.runner import evaluate

DATA = Path(__file__).parent / "data" / "suites"
CONFIG = EvalConfig(suites=("tiny_add2", "tiny_add3"), samples=4, temperature=1.0, batch_size=7)


def render(problem):
    return f"<user>{problem}</user><assistant>"


def sums(prompts, settings, seed):
    """Answer with the right sum half of the time; the rest of the text tells draws apart."""
    rng = random.Random(seed)
    answers = []
    for prompt in prompts:
        total = sum(map(int, re.findall(r"\d+", prompt)))
        text = rf"draw {rng.random()}: \boxed{{{total + rng.randrange(2)}}}"
        answers.append(Generated(text, tokens=len(text), truncated=rng.random() < 0.3))
    return answers


def run(grader, generate=sums, config=CONFIG, seed=1, data=DATA, **kwargs):
    return evaluate(Policy(generate, render), config, grader, seed=seed, data=data, **kwargs)


def questions(suite):
    return [json.loads(line) for line in (DATA / f"{suite[5:]}.jsonl").read_text().splitlines()]


def ungraded(result):
    """The samples without the one field that is measured."""
    return [sample._replace(seconds=0.0) for sample in result.samples]
