"""The rows of an evaluation: samples.jsonl, one line a question and sample, written as they come."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

from evaluation.grading import OUTCOMES, Outcome

logger = logging.getLogger(__name__)

FILE = "samples.jsonl"
# What decided a grade that says nothing of the answer: a dead worker, an exception of the grader's own.
GRADER_FAILED = ("worker_died", "raised:")

Key = tuple[str, str, int]
"""Suite, question and number of a sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer to one question, and its grade: all that is needed to grade it again.

    Args:
        suite: Name of the task.
        question: The question's id.
        sample: Number of the answer among those to this question, from 0.
        outcome: Of grading.
        extracted: The answer as the response states it; None when it states none.
        how: What decided the grade.
        tokens: Of the response.
        truncated: Whether it ended at the limit of its length.
        response: What was sampled.
        golds: Accepted answers.
        prompt_sha256: Of the prompt as the policy read it.
        seed: Of the batch that the response was sampled in.
        seconds: Wall-clock time of sampling that batch, over its answers.
        grading_seconds: Wall-clock time of grading this answer.
        level: Difficulty of the question, where the data tells.
        subject: Its field, where the data tells.
        task_version: Of the task file.
        grader_version: Of the grader.
    """

    suite: str
    question: str
    sample: int
    outcome: Outcome
    extracted: str | None
    how: str
    tokens: int
    truncated: bool
    response: str
    golds: tuple[str, ...]
    prompt_sha256: str
    seed: int
    seconds: float
    grading_seconds: float
    level: str | None = None
    subject: str | None = None
    task_version: str = ""
    grader_version: str = ""

    @property
    def key(self) -> Key:
        """What tells samples apart."""
        return self.suite, self.question, self.sample

    @property
    def earned(self) -> float | None:
        """Return 1 for a correct answer and 0 for another, or None where the grader itself failed.

        Time, memory and expressions that cannot be evaluated are the answer's own doing and earn 0.
        """
        if self.outcome == "error" and self.how.startswith(GRADER_FAILED):
            return None
        return float(self.outcome == "correct")


_FIELDS = tuple(field.name for field in fields(Sample))


def append_samples(path: Path, samples: Sequence[Sample]) -> None:
    """Write samples at the end of a file, all in one piece, and onto the disk."""
    # Not `asdict`, which copies every value and takes as long as grading.
    rows = ({name: getattr(sample, name) for name in _FIELDS} for sample in samples)
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    with path.open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read_samples(path: Path) -> Iterator[Sample]:
    """Yield a file's samples one by one.

    Raises:
        ValueError: A line is no sample; the message names it.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield parse_sample(line)
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from error


def parse_sample(line: bytes) -> Sample:
    """Return the sample of a line; ValueError where it is none."""
    if not line.endswith(b"\n"):
        raise ValueError("the line is cut off")
    row: dict[str, Any] = json.loads(line)
    if not isinstance(row, dict) or set(row) != set(_FIELDS):
        missing, extra = sorted(set(_FIELDS) - set(row)), sorted(set(row) - set(_FIELDS))
        raise ValueError(f"no sample: missing {missing}, unknown {extra}")
    if row["outcome"] not in OUTCOMES:
        raise ValueError(f"unknown outcome {row['outcome']!r}")
    row["golds"] = tuple(row["golds"])
    return Sample(**row)


def resume_samples(path: Path, batches: Iterable[Collection[Key]]) -> Iterator[list[Sample]]:
    """Yield the batches that a file begins with, and cut off what is left: a part of one, or damage.

    A process that is killed while it writes leaves a part of a batch behind.

    Args:
        path: The file; nothing is yielded where there is none.
        batches: Keys of each batch's samples, in the order they are written.

    Raises:
        ValueError: The file has other samples than these.
    """
    if not path.exists():
        return
    end = 0
    with path.open("rb") as file:
        for wanted in batches:
            lines = list(islice(file, len(wanted)))
            try:
                found = [parse_sample(line) for line in lines]
            except ValueError:
                break
            if len(found) < len(wanted):
                break
            if [sample.key for sample in found] != list(wanted):
                raise ValueError(
                    f"{path}: samples after byte {end:,} are another evaluation's; remove the file"
                )
            end += sum(map(len, lines))
            yield found
    size = path.stat().st_size
    if size > end:
        logger.warning(
            "%s: %s bytes after %s are no whole batch and are sampled again", path, size - end, end
        )
        os.truncate(path, end)
