"""The record of an evaluation: eval.json, what was asked and what came of it; samples.jsonl, all answers."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluation import samples
from evaluation.config import EvalConfig
from evaluation.samples import Key, Sample, append_samples, read_samples
from evaluation.tally import Tally, tally

FILE = "eval.json"


@dataclass(frozen=True)
class SuiteInfo:
    """What was asked of a suite, and what it came to.

    Args:
        version: Of the suite's task file.
        questions: How many were asked.
        samples: Answers to each.
        split: "in_distribution", "out_of_distribution" or None; tables average these apart.
        sha256: Of all its questions, also where only the first of them were asked.
        unlisted: How many of these the task was not written for.
        avg_at_k: Mean over questions of what their graded answers earned; None where none has a verdict.
        standard_error: Of avg_at_k, clustered by question; None where it cannot be estimated.
        outcomes: How many answers came to each outcome.
        truncated: How many answers ended at the limit of their length.
        tokens: Of all answers.
    """

    version: str
    questions: int
    samples: int
    split: str | None
    sha256: str
    unlisted: int = 0
    avg_at_k: float | None = None
    standard_error: float | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    truncated: int = 0
    tokens: int = 0

    @property
    def asked(self) -> SuiteInfo:
        """The same without results."""
        return SuiteInfo(self.version, self.questions, self.samples, self.split, self.sha256, self.unlisted)

    def with_results(self, found: Tally) -> SuiteInfo:
        """Return the same with what its answers came to."""
        score = found.score()
        return replace(
            self,
            avg_at_k=_finite(score.mean),
            standard_error=_finite(score.standard_error),
            outcomes=found.counts(),
            truncated=found.truncated,
            tokens=found.tokens,
        )


@dataclass(frozen=True)
class Evaluation:
    """One policy under one protocol.

    Args:
        seed: Of sampling.
        protocol: What was asked, and how answers were sampled.
        suites: In the protocol's order.
        policy: What tells the policy from others, and how it was asked.
        grader: Version of the grader.
        finished: Whether every answer is there; else the results are missing.
        samples_sha256: Of samples.jsonl, once it is finished.
    """

    seed: int
    protocol: EvalConfig
    suites: Mapping[str, SuiteInfo]
    policy: Mapping[str, Any] = field(default_factory=dict)
    grader: str = ""
    finished: bool = False
    samples_sha256: str | None = None

    @property
    def asked(self) -> Evaluation:
        """The same without results: what an evaluation that goes on must agree with."""
        suites = {name: info.asked for name, info in self.suites.items()}
        return replace(self, suites=suites, finished=False, samples_sha256=None)

    def finish(self, directory: Path, tallies: Mapping[str, Tally]) -> Evaluation:
        """Return the same with the results, and write it beside its samples."""
        suites = {name: info.with_results(tallies[name]) for name, info in self.suites.items()}
        digest = _file_sha256(directory / samples.FILE)
        done = replace(self, suites=suites, finished=True, samples_sha256=digest)
        write_header(directory, done)
        return done


def write_header(directory: Path, evaluation: Evaluation) -> None:
    """Write eval.json; a reader sees the old file or the whole new one."""
    path = directory / FILE
    part = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        part.write_text(json.dumps(asdict(evaluation), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_header(directory: Path) -> Evaluation | None:
    """Return what eval.json says, or None where there is none.

    Raises:
        ValueError: It is no record of an evaluation.
    """
    path = directory / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is not a whole evaluation record: {error}") from error
    try:
        protocol = document["protocol"]
        document["protocol"] = EvalConfig(**{**protocol, "suites": tuple(protocol["suites"])})
        document["suites"] = {name: SuiteInfo(**info) for name, info in document["suites"].items()}
        return Evaluation(**document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a whole evaluation record: {error!r}") from error


def write_evaluation(directory: Path, evaluation: Evaluation, answers: Iterable[Sample]) -> Evaluation:
    """Write a whole evaluation at once and return it with its results."""
    kept = list(answers)
    (directory / samples.FILE).unlink(missing_ok=True)
    append_samples(directory / samples.FILE, kept)
    return evaluation.finish(directory, tally(kept))


def read_evaluation(directory: Path) -> Evaluation:
    """Return a finished evaluation after a check of its samples.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is not finished, or damaged, or its samples are not those it announces.
    """
    header = read_header(directory)
    if header is None:
        raise FileNotFoundError(f"{directory / FILE} is missing")
    if not header.finished:
        raise ValueError(f"{directory / FILE}: the evaluation is not finished; run it again and it goes on")
    path = directory / samples.FILE
    if not path.exists():
        raise ValueError(f"{path} is missing")
    if _file_sha256(path) != header.samples_sha256:
        raise ValueError(f"{path} was changed after the evaluation: its checksum is not that in {FILE}")
    _check(header, directory)
    return header


def answers(directory: Path) -> Iterator[Sample]:
    """Yield the samples of an evaluation."""
    return read_samples(directory / samples.FILE)


def _check(header: Evaluation, directory: Path) -> None:
    """Refuse a record whose parts contradict each other: it was put together wrongly."""
    keys: set[Key] = set()
    for sample in answers(directory):
        if sample.key in keys:
            raise ValueError(f"{directory / samples.FILE}: sample {sample.key} is there twice")
        keys.add(sample.key)
    tallies = tally(answers(directory))
    expected = {name: info.questions * info.samples for name, info in header.suites.items()}
    found = {name: each.samples for name, each in tallies.items()}
    if found != expected:
        raise ValueError(f"{directory / FILE} announces {expected} samples, but there are {found}")
    for name, info in header.suites.items():
        if any(not 0 <= sample < info.samples for suite, _, sample in keys if suite == name):
            raise ValueError(f"{directory / samples.FILE}: a sample of {name} is not one of {info.samples}")
        own = _finite(tallies[name].score().mean)
        if own != info.avg_at_k and not math.isclose(own or 0.0, info.avg_at_k or 0.0, abs_tol=1e-9):
            raise ValueError(f"{directory / FILE}: {name} has avg_at_k={info.avg_at_k}, its samples {own}")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
