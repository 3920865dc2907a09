"""The score of each question under a metric, as arrays for the statistics."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import numpy as np

from evaluation.answers import SuiteAnswers
from evaluation.comparing.methods import ComparisonError, Method
from evaluation.statistics.scores import Array

Kind = Literal["avg", "pass", "maj"]


class Metric(NamedTuple):
    """What a question scores.

    Args:
        kind: avg@k over all its samples, pass@k or maj@k.
        k: Of pass@k and maj@k; None for avg@k.
    """

    kind: Kind
    k: int | None = None

    @property
    def name(self) -> str:
        """Return what tables call it."""
        return f"{self.kind}@{self.k or 'k'}"


def parse_metric(text: str) -> Metric:
    """Return the metric of avg, pass@K or maj@K."""
    if text == "avg":
        return Metric("avg")
    for kind in ("pass", "maj"):
        found = re.fullmatch(rf"{kind}@([1-9]\d*)", text)
        if found:
            return Metric(kind, int(found[1]))
    raise ComparisonError(f"--metric {text!r} is none of avg, pass@K and maj@K, such as pass@8")


def method_scores(method: Method, suite: str, questions: tuple[str, ...], metric: Metric) -> Array:
    """Return the scores (seed, question) of a method; NaN where too few answers have a verdict."""
    return np.stack([_scores(run.answers[suite].of(questions), metric) for run in method.runs])


def solved(method: Method, suite: str, questions: tuple[str, ...]) -> Array:
    """Return 1 for each question of which more than half of the answers are correct, all seeds together."""
    shares = np.full(len(questions), np.nan)
    for index, name in enumerate(questions):
        counts = [run.answers[suite].questions[name] for run in method.runs]
        graded, correct = sum(each.graded for each in counts), sum(each.correct for each in counts)
        if graded:
            shares[index] = float(2 * correct > graded)
    return shares


def _scores(answers: SuiteAnswers, metric: Metric) -> Array:
    """Return a score for each question; the statistics refuse k above the number of its answers."""
    if metric.k is None:
        return np.asarray(answers.avg_at_k()[0])
    enough = [name for name, each in answers.questions.items() if each.graded >= metric.k]
    scores = np.full(len(answers.questions), np.nan)
    if enough:
        part = answers.of(enough)
        found = part.pass_at_k(metric.k) if metric.kind == "pass" else part.majority_at_k(metric.k)
        scores[np.isin(list(answers.questions), enough)] = found[0]
    return scores
