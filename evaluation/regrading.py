"""Grade stored answers again: with another grader, or with the rules of today."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation import samples
from evaluation.graded import grade_responses
from evaluation.grading import AnswerGrader, Grade
from evaluation.records import Evaluation, answers, write_header
from evaluation.samples import Sample, append_samples
from evaluation.statistics.scores import Array, Score, mean_score, paired_difference
from evaluation.tally import Tally

CHUNK = 512
DISAGREEMENTS = "disagreements.jsonl"


class Marks(NamedTuple):
    """An answer's credit, as stored and as graded again."""

    stored: float | None
    again: float | None

    @property
    def disputed(self) -> bool:
        """Whether one grader calls it correct and the other does not."""
        return (self.stored == 1) != (self.again == 1)


@dataclass
class SuiteMarks:
    """The marks of a suite's answers by question."""

    questions: dict[str, list[Marks]] = field(default_factory=lambda: defaultdict(list))

    def taken_back(self) -> int:
        """Return how many answers were correct and are not."""
        return sum(m.disputed and m.stored == 1 for marks in self.questions.values() for m in marks)

    def added(self) -> int:
        """Return how many answers were not correct and are."""
        return sum(m.disputed and m.again == 1 for marks in self.questions.values() for m in marks)

    def stored(self) -> Score:
        """Return the score as stored."""
        return mean_score([self._means(lambda mark: mark.stored)])

    def again(self) -> Score:
        """Return the score as graded again."""
        return mean_score([self._means(lambda mark: mark.again)])

    def difference(self) -> Score:
        """Return again − stored, paired by question."""
        return paired_difference(
            [self._means(lambda mark: mark.again)], [self._means(lambda mark: mark.stored)]
        )

    def bounds(self) -> tuple[float, float]:
        """Return the scores if every disputed answer is wrong, and if every one is correct."""
        wrong = self._means(lambda mark: 0.0 if mark.disputed else mark.stored)
        right = self._means(lambda mark: 1.0 if mark.disputed else mark.stored)
        return mean_score([wrong]).mean, mean_score([right]).mean

    def _means(self, credit: Callable[[Marks], float | None]) -> Array:
        means = []
        for marks in self.questions.values():
            known = [value for mark in marks if (value := credit(mark)) is not None]
            means.append(sum(known) / len(known) if known else math.nan)
        return np.array([means])


def regrade(
    evaluation: Evaluation, directory: Path, grader: AnswerGrader, version: str, output: Path
) -> Mapping[str, SuiteMarks]:
    """Write an evaluation with its answers graded again, and each disagreement; return the marks by suite.

    Args:
        evaluation: The header of what is in the folder.
        directory: A folder with a finished evaluation.
        grader: What grades again.
        version: What the new records say graded them.
        output: Folder for the new eval.json and samples.jsonl and for disagreements.jsonl.
    """
    output.mkdir(parents=True, exist_ok=True)
    for name in (samples.FILE, DISAGREEMENTS):
        (output / name).write_bytes(b"")
    header = replace(evaluation.asked, grader=version)
    write_header(output, header)
    marks: dict[str, SuiteMarks] = defaultdict(SuiteMarks)
    tallies: dict[str, Tally] = {name: Tally() for name in evaluation.suites}
    stored = answers(directory)
    while chunk := list(islice(stored, CHUNK)):
        grades = grade_responses(grader, [(sample.response, sample.golds) for sample in chunk])
        renewed = [_renewed(sample, grade, version) for sample, grade in zip(chunk, grades, strict=True)]
        append_samples(output / samples.FILE, renewed)
        with (output / DISAGREEMENTS).open("a", encoding="utf-8") as file:
            for sample, new in zip(chunk, renewed, strict=True):
                tallies[sample.suite].add(new)
                mark = Marks(sample.earned, new.earned)
                marks[sample.suite].questions[sample.question].append(mark)
                if mark.disputed:
                    file.write(json.dumps(_disagreement(sample, new)) + "\n")
    header.finish(output, tallies)
    return marks


def _renewed(sample: Sample, grade: Grade, version: str) -> Sample:
    return replace(
        sample,
        outcome=grade.outcome,
        extracted=grade.answer,
        how=grade.how,
        grading_seconds=grade.seconds,
        grader_version=version,
    )


def _disagreement(stored: Sample, again: Sample) -> dict[str, object]:
    return {
        "suite": stored.suite,
        "question": stored.question,
        "sample": stored.sample,
        "golds": stored.golds,
        "stored": {"outcome": stored.outcome, "extracted": stored.extracted, "how": stored.how},
        "again": {"outcome": again.outcome, "extracted": again.extracted, "how": again.how},
    }


def read_disagreements(output: Path) -> Iterator[dict[str, Any]]:
    """Yield what `regrade` wrote of the answers that the two grades differ on."""
    with (output / DISAGREEMENTS).open(encoding="utf-8") as file:
        yield from map(json.loads, file)
