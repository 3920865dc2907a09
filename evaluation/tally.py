"""Scores kept while answers come in; what they need does not grow with the number of samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from evaluation.grading import OUTCOMES
from evaluation.samples import Sample
from evaluation.statistics.scores import Score, mean_score


@dataclass
class Tally:
    """What the answers to one suite came to.

    Args:
        graded: For each question how many answers have a verdict.
        correct: For each question how many of them are correct.
        outcomes: How many answers came to each outcome.
        truncated: How many ended at the limit of their length.
        tokens: Sum over all answers.
    """

    graded: Counter[str] = field(default_factory=Counter)
    correct: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    tokens: int = 0

    def add(self, sample: Sample) -> None:
        """Count an answer."""
        earned = sample.earned
        self.graded[sample.question] += earned is not None
        self.correct[sample.question] += bool(earned)
        self.outcomes[sample.outcome] += 1
        self.truncated += sample.truncated
        self.tokens += sample.tokens

    @property
    def samples(self) -> int:
        """Return how many answers were counted."""
        return self.outcomes.total()

    def score(self) -> Score:
        """Return avg@k with its question-clustered standard error; NaN where no answer has a verdict."""
        shares = [self.correct[name] / count for name, count in self.graded.items() if count]
        return mean_score([np.array([shares])]) if shares else Score(math.nan, math.nan, math.nan)

    def counts(self) -> dict[str, int]:
        """Return how many answers came to each outcome, 0 included."""
        return {outcome: self.outcomes[outcome] for outcome in OUTCOMES}


def tally(samples: Iterable[Sample]) -> Mapping[str, Tally]:
    """Return the tallies of samples by suite."""
    found: dict[str, Tally] = {}
    for sample in samples:
        found.setdefault(sample.suite, Tally()).add(sample)
    return found
