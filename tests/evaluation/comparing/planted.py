"""Evaluations whose every outcome is decided by the test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.config import EvalConfig
from evaluation.records import Evaluation, SuiteInfo, write_evaluation
from tests.evaluation.rows import row

LETTERS = {"c": "correct", "w": "wrong", "e": "error", "u": "unparseable"}


@dataclass(frozen=True)
class Planted:
    """An evaluation.

    Args:
        suites: Of each suite a word a question and a letter an answer: c correct, w wrong, e error; a wrong
            answer says "7", and "w" after "x" stands for another wrong answer, "8".
        levels: Of each suite the levels of its questions.
        prompts: Questions whose prompt is another than usual.
    """

    suites: Mapping[str, str]
    seed: int = 0
    splits: Mapping[str, str | None] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, object] = field(default_factory=dict)
    protocol: Mapping[str, object] = field(default_factory=dict)
    grader: str = "grader 1"

    def write(self, directory: Path) -> Path:
        directory.mkdir(parents=True)
        samples, infos = [], {}
        for suite, words in self.suites.items():
            levels = self.levels[suite].split() if suite in self.levels else [None] * len(words.split())
            for number, (word, level) in enumerate(zip(words.split(), levels, strict=True)):
                question = f"{suite}-{number}"
                prompt = hashlib.sha256(self.prompts.get(question, question).encode()).hexdigest()
                samples += [
                    row(
                        suite,
                        question,
                        sample,
                        LETTERS.get(letter, "wrong"),
                        extracted={"c": "1", "w": "7"}.get(letter, letter),
                        level=None if level == "-" else level,
                        prompt_sha256=prompt,
                    )
                    for sample, letter in enumerate(word)
                ]
            infos[suite] = SuiteInfo(
                self.versions.get(suite, "1"),
                len(words.split()),
                len(words.split()[0]),
                self.splits.get(suite),
                self.data.get(suite, suite).ljust(64, "0"),
            )
        protocol = EvalConfig(suites=tuple(self.suites), **self.protocol)
        header = Evaluation(self.seed, protocol, infos, self.policy, self.grader)
        write_evaluation(directory, header, samples)
        return directory
