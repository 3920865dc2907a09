"""The answers of an evaluation question by question: what every statistic is computed from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import numpy as np

from evaluation.grading.notation import comparable, rewrite
from evaluation.samples import Sample
from evaluation.statistics.majority import majority_scores
from evaluation.statistics.pass_at_k import pass_at_k
from evaluation.statistics.scores import Array

CORRECT = "correct"


@dataclass
class QuestionAnswers:
    """What a question's answers came to.

    Args:
        graded: How many have a verdict.
        correct: How many of them are correct.
        classes: How often each class of equivalent answers was given: one for all that the grader accepts,
            one for each other answer but for its spelling, None for no answer.
        level: Of difficulty, where the data tells.
    """

    graded: int = 0
    correct: int = 0
    classes: Counter[Hashable | None] = field(default_factory=Counter)
    level: str | None = None

    def add(self, sample: Sample) -> None:
        """Count an answer."""
        self.level = sample.level
        if sample.earned is None:
            return
        self.graded += 1
        self.correct += int(sample.earned)
        self.classes[answer_class(sample)] += 1


@dataclass
class SuiteAnswers:
    """The questions of a suite, in the order of their first answers."""

    questions: dict[str, QuestionAnswers] = field(default_factory=dict)

    def of(self, names: Iterable[str]) -> SuiteAnswers:
        """Return the same with some of the questions, in the order of their names."""
        return SuiteAnswers({name: self.questions[name] for name in names})

    @property
    def least(self) -> int:
        """Return the smallest number of graded answers to a question; the k of pass@k and maj@k end there."""
        return min((each.graded for each in self.questions.values()), default=0)

    def avg_at_k(self) -> Array:
        """Return avg@k of each question, a row for the one seed; NaN without a verdict."""
        return np.array(
            [[each.correct / each.graded if each.graded else np.nan for each in self.questions.values()]]
        )

    def pass_at_k(self, k: int) -> Array:
        """Return pass@k of each question, a row for the one seed."""
        graded = [each.graded for each in self.questions.values()]
        correct = [each.correct for each in self.questions.values()]
        return np.atleast_2d(pass_at_k(graded, correct, k))

    def majority_at_k(self, k: int) -> Array:
        """Return maj@k of each question, a row for the one seed."""
        votes = [(each.classes, {CORRECT}) for each in self.questions.values()]
        return np.atleast_2d(majority_scores(votes, k))


def answer_class(sample: Sample) -> Hashable | None:
    """Return what an answer votes for in maj@k."""
    if sample.outcome == "correct":
        return CORRECT
    return None if sample.extracted is None else ("other", comparable(rewrite(sample.extracted)))


def by_suite(samples: Iterable[Sample]) -> dict[str, SuiteAnswers]:
    """Return the answers by suite; what is kept does not hold the responses."""
    suites: dict[str, SuiteAnswers] = {}
    for sample in samples:
        questions = suites.setdefault(sample.suite, SuiteAnswers()).questions
        questions.setdefault(sample.question, QuestionAnswers()).add(sample)
    return suites
