"""A policy of three lines and what it is asked, for the tests of running and recording."""

import json
import random
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from evaluation.config import EvalConfig
from evaluation.policy import Generated, Policy
from evaluation.records import answers
from evaluation.runner import Request, evaluate

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


class Outcome(NamedTuple):
    """An evaluation and its samples."""

    header: object
    samples: list

    @property
    def suites(self):
        return self.header.suites


def run(grader, generate=sums, config=CONFIG, seed=1, data=DATA, directory=None, **kwargs):
    policy, request = Policy(generate, render), Request(config, seed, data)
    with tempfile.TemporaryDirectory() as folder:
        directory = directory or Path(folder)
        header = evaluate(policy, request, grader, directory, **kwargs)
        return Outcome(header, list(answers(directory)))


def questions(suite):
    return [json.loads(line) for line in (DATA / f"{suite[5:]}.jsonl").read_text().splitlines()]


def ungraded(result):
    """The samples without what is measured."""
    return [replace(sample, seconds=0.0, grading_seconds=0.0) for sample in result.samples]
