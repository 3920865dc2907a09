"""What is asked in which batch: it depends on the suite and the protocol alone, so that a run can go on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from evaluation.config import EvalConfig
from evaluation.policy import batch_seed
from evaluation.samples import Key
from evaluation.suite_data import Question
from evaluation.suites import Suite, contained


class Prompt(NamedTuple):
    """A question as the policy reads it."""

    question: Question
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Batch(NamedTuple):
    """Answers that are sampled together: to each prompt, and its number among those to this question."""

    suite: Suite
    seed: int
    draws: tuple[tuple[Prompt, int], ...]

    @property
    def keys(self) -> list[Key]:
        """What its samples are called."""
        return [(self.suite.name, prompt.question.id, sample) for prompt, sample in self.draws]


def make_prompts(suite: Suite, render: Callable[[str], str], limit: int | None) -> list[Prompt]:
    """Return a suite's questions as lm-eval poses them, in a policy's template.

    Args:
        suite: Its task says how.
        render: Makes the prompt of one user turn.
        limit: Only so many questions, the first ones.
    """

    def template(turns: list[dict[str, str]], **_: object) -> str:
        if [turn["role"] for turn in turns] != ["user"]:
            raise ValueError(
                f"{suite.name}: a suite asks one user turn: no description, few-shot or gen_prefix"
            )
        return render(turns[0]["content"])

    with contained():
        suite.task.build_all_requests(
            limit=limit, apply_chat_template=True, fewshot_as_multiturn=True, chat_template=template
        )
    return [Prompt(suite.questions[each.doc_id], each.args[0]) for each in suite.task.instances]


def batches(suite: Suite, prompts: list[Prompt], config: EvalConfig, seed: int) -> Iterator[Batch]:
    """Yield what is sampled together, the longest prompts first: they pad each other least, and fail first.

    No batch holds questions of two suites, and each has a seed of its own, so the answers to a suite do not
    depend on the other suites of an evaluation.
    """
    ordered = sorted(prompts, key=lambda prompt: -len(prompt.text))
    draws = ((prompt, sample) for prompt in ordered for sample in range(config.samples_of(suite.name)))
    number = 0
    while batch := tuple(islice(draws, config.batch_size)):
        yield Batch(suite, batch_seed(seed, suite.name, number), batch)
        number += 1
