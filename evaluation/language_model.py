"""The policy as lm-eval sees it: prompts in, texts out, with what lm-eval forgets kept here."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

from lm_eval.api.model import LM

from evaluation.config import EvalConfig


class Generated(NamedTuple):
    """One sampled answer; `truncated` means it ended at the limit of its length, not by itself."""

    text: str
    tokens: int
    truncated: bool


class Generate(Protocol):
    """Sample one answer to each prompt.

    Equal prompts in one call are separate draws. The answers depend on the policy, the prompts,
    the settings and the seed alone. Temperature 0 is greedy.
    """

    def __call__(self, prompts: Sequence[str], settings: EvalConfig, seed: int, /) -> Sequence[Generated]:
        """Return the answers in the order of the prompts."""


class Policy(NamedTuple):
    """What is evaluated: how it answers, and how it is asked (`render` is its chat template)."""

    generate: Generate
    render: Callable[[str], str]


class PolicyModel(LM):  # type: ignore[misc]
    """An lm-eval model around a policy in memory.

    Args:
        policy: What is evaluated.
        config: Sampling settings and batch size.
        seed: Of the evaluation.
        on_progress: Called with (answers sampled, answers to sample) after each batch.
    """

    def __init__(
        self,
        policy: Policy,
        config: EvalConfig,
        seed: int,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__()
        self.generations: dict[tuple[str, int], list[Generated]] = defaultdict(list)
        self._policy = policy
        self._config = config
        self._seed = seed
        self._on_progress = on_progress

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Return one text a request; a question comes once for each of its samples.

        No batch holds questions of two suites, and each has a seed of its own, so the answers to
        a suite do not depend on the other suites of the run.
        """
        suites: dict[str, list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            suites[request.task_name].append(index)
        answers: dict[int, Generated] = {}
        for suite, indices in suites.items():
            # Prompts of one length pad each other least; the longest first fail first.
            indices.sort(key=lambda index: -len(requests[index].args[0]))
            for batch, start in enumerate(range(0, len(indices), self._config.batch_size)):
                chosen = indices[start : start + self._config.batch_size]
                prompts = [requests[index].args[0] for index in chosen]
                generated = self._policy.generate(prompts, self._config, batch_seed(self._seed, suite, batch))
                answers.update(zip(chosen, generated, strict=True))
                if self._on_progress:
                    self._on_progress(len(answers), len(requests))
        for index, request in enumerate(requests):
            self.generations[request.task_name, request.doc_id].append(answers[index])
        return [answers[index].text for index in range(len(requests))]

    def apply_chat_template(
        self,
        chat_history: list[dict[str, str]],
        add_generation_prompt: bool = True,
    ) -> str:
        """Return the rendered prompt of a lone question, the one form suites are asked in."""
        if [turn["role"] for turn in chat_history] != ["user"] or not add_generation_prompt:
            raise ValueError("a suite asks one user turn: no description, few-shot or gen_prefix")
        return self._policy.render(chat_history[0]["content"])

    @property
    def tokenizer_name(self) -> str:
        """Return the key of lm-eval's cache of prompts, which is not used."""
        return ""

    def loglikelihood(self, requests: Sequence[Any]) -> NoReturn:
        """Refuse: suites are answered in words."""
        raise NotImplementedError(f"suites are of type generate_until ({len(requests)} are not)")

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> NoReturn:
        """Refuse: suites are answered in words."""
        self.loglikelihood(requests)


def batch_seed(seed: int, suite: str, batch: int) -> int:
    """Return the seed of one batch, in [0, 2^63)."""
    digest = hashlib.sha256(f"{seed}/{suite}/{batch}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
