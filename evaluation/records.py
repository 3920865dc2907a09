"""The record of an evaluation: eval.json, one entry per question and sample."""

from __future__ import annotations

import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from evaluation.config import EvalConfig
from evaluation.grading import OUTCOMES
from evaluation.worker_process import Outcome


class Sample(NamedTuple):
    """One answer to one question, and its grade."""

    suite: str
    question: str
    sample: int
    prompt_sha256: str
    response: str
    extracted: str | None
    outcome: Outcome
    tokens: int
    truncated: bool
    seconds: float

    @property
    def earned(self) -> float | None:
        """Return 1 for a correct answer and 0 for another, or None where the grader failed.

        A timeout is the answer's own doing and earns 0.
        """
        return None if self.outcome == "error" else float(self.outcome == "correct")


@dataclass(frozen=True)
class SuiteInfo:
    """What was asked.

    Args:
        version: Of the suite's task file.
        questions: How many were asked.
        split: "in_distribution", "out_of_distribution" or None; tables average these apart.
        sha256: Of the file of questions, whole, also where only the first of them were asked.
        avg_at_k: As lm-eval aggregated it; None where no answer got a verdict.
    """

    version: str
    questions: int
    split: str | None
    sha256: str
    avg_at_k: float | None


@dataclass(frozen=True)
class EvalResult:
    """All answers of one policy under one protocol."""

    seed: int
    protocol: EvalConfig
    suites: Mapping[str, SuiteInfo]
    samples: tuple[Sample, ...]

    def avg_at_k(self, suite: str) -> float | None:
        """Return the mean over questions of the mean of what their graded answers earned."""
        questions: dict[str, list[float]] = defaultdict(list)
        for sample in self.samples:
            if sample.suite == suite and sample.earned is not None:
                questions[sample.question].append(sample.earned)
        return fmean(map(fmean, questions.values())) if questions else None


def write_eval(path: Path, result: EvalResult) -> None:
    """Write an evaluation; a reader sees the old file or the whole new one."""
    document = {
        "seed": result.seed,
        "protocol": asdict(result.protocol),
        "suites": {name: asdict(info) for name, info in result.suites.items()},
        "samples": [sample._asdict() for sample in result.samples],
    }
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(json.dumps(document, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_eval(path: Path) -> EvalResult:
    """Return the evaluation that `write_eval` wrote.

    Raises:
        ValueError: The file is no evaluation, or its samples are not those its header announces.
    """
    try:
        result = _from_json(json.loads(path.read_text(encoding="utf-8")))
        _check(result)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a whole evaluation record: {error}") from error
    return result


def _from_json(document: Mapping[str, Any]) -> EvalResult:
    protocol = document["protocol"]
    return EvalResult(
        seed=document["seed"],
        protocol=EvalConfig(**{**protocol, "suites": tuple(protocol["suites"])}),
        suites={name: SuiteInfo(**info) for name, info in document["suites"].items()},
        samples=tuple(Sample(**row) for row in document["samples"]),
    )


def _check(result: EvalResult) -> None:
    """Refuse a record whose parts contradict each other: it was edited or put together wrongly."""
    asked = {(sample.suite, sample.question, sample.sample) for sample in result.samples}
    if len(asked) != len(result.samples):
        raise ValueError("a sample is there twice")
    unknown = {sample.outcome for sample in result.samples} - set(OUTCOMES)
    if unknown:
        raise ValueError(f"unknown outcomes {sorted(unknown)}")
    k = result.protocol.samples
    expected = {name: info.questions * k for name, info in result.suites.items()}
    found = Counter(sample.suite for sample in result.samples)
    if found != expected or any(not 0 <= sample.sample < k for sample in result.samples):
        raise ValueError(f"expected {expected} samples, found {dict(found)}")
    for name, info in result.suites.items():
        own = result.avg_at_k(name)
        if own != info.avg_at_k and not math.isclose(own or 0, info.avg_at_k or 0, abs_tol=1e-9):
            raise ValueError(f"{name}: avg_at_k={info.avg_at_k}, but its samples give {own}")
