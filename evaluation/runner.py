"""Ask a policy every question of the suites, and grade its answers; an evaluation that was killed goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from evaluation import samples
from evaluation.asking import Batch, batches, make_prompts
from evaluation.config import EvalConfig
from evaluation.graded import graded
from evaluation.grading import Grader, grader_version
from evaluation.policy import Generated, Policy
from evaluation.records import Evaluation, SuiteInfo, read_header, write_header
from evaluation.samples import Sample, append_samples, resume_samples
from evaluation.suites import suites_of
from evaluation.tally import Tally


class Progress(NamedTuple):
    """How far an evaluation is.

    Args:
        suite: That is being asked.
        samples: Answers sampled and graded, those of an earlier process included.
        of: Answers in all.
        questions: Questions with at least one answer.
        correct: Share of the graded answers that are correct.
    """

    suite: str
    samples: int
    of: int
    questions: int
    correct: float


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Request:
    """What is asked.

    Args:
        protocol: Suites, and how answers are sampled.
        seed: Of the sampling.
        data: Folder of the suites' files; None takes each task's own data set.
    """

    protocol: EvalConfig
    seed: int
    data: Path | None = None


def evaluate(
    policy: Policy,
    request: Request,
    grader: Grader,
    directory: Path,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Write every answer of a policy, graded, into a folder, and return what it came to.

    The answers depend on the policy, the protocol and the seed; those to a suite do not depend on the other
    suites. Batches that an earlier process left in the folder are kept. Global random states are not touched.

    Args:
        policy: What is evaluated; an exception in it fails the evaluation.
        request: What is asked.
        grader: An exception in it is the outcome "error" of one answer.
        directory: For eval.json and samples.jsonl.
        on_progress: Called after each batch.

    Raises:
        ValueError: The suites cannot be asked, or the folder holds another evaluation.
    """
    config, seed = request.protocol, request.seed
    suites = suites_of(config, request.data)
    prompts = {suite.name: make_prompts(suite, policy.render, config.limit) for suite in suites}
    infos = {
        suite.name: SuiteInfo(
            suite.version,
            len(prompts[suite.name]),
            config.samples_of(suite.name),
            suite.split,
            suite.sha256,
            suite.unlisted,
        )
        for suite in suites
    }
    header = Evaluation(seed, config, infos, dict(policy.identity), grader_version())
    _take_over(directory, header)

    def plan() -> Iterator[Batch]:
        for suite in suites:
            yield from batches(suite, prompts[suite.name], config, seed)

    run = _Run(policy, config, grader, directory / samples.FILE, on_progress)
    run.tallies = {name: Tally() for name in infos}
    run.total = sum(info.questions * info.samples for info in infos.values())
    run.go_on(plan)
    return header.finish(directory, run.tallies)


def _take_over(directory: Path, header: Evaluation) -> None:
    """Go on with what is in a folder if it is the same evaluation."""
    directory.mkdir(parents=True, exist_ok=True)
    there = read_header(directory)
    if there is None:
        (directory / samples.FILE).unlink(missing_ok=True)
        write_header(directory, header)
        return
    differing = [
        name
        for name in ("seed", "protocol", "suites", "policy", "grader")
        if getattr(there.asked, name) != getattr(header, name)
    ]
    if differing:
        raise ValueError(
            f"{directory} holds another evaluation, which differs in {', '.join(differing)}; choose another "
            "folder, or remove this one"
        )


@dataclass
class _Run:
    """Batches on their way from the policy through the grader into the file."""

    policy: Policy
    config: EvalConfig
    grader: Grader
    path: Path
    on_progress: OnProgress | None
    tallies: dict[str, Tally] = field(default_factory=dict)
    total: int = 0

    def go_on(self, plan: Callable[[], Iterator[Batch]]) -> None:
        """Sample what is missing; a batch is graded and recorded while the next one is sampled."""
        kept = 0
        for found in resume_samples(self.path, (batch.keys for batch in plan())):
            self._count(found)
            kept += 1
        pending: Future[list[Sample]] | None = None
        with ThreadPoolExecutor(1) as pool:
            try:
                for batch in islice(plan(), kept, None):
                    started = time.perf_counter()
                    prompts = [prompt.text for prompt, _ in batch.draws]
                    generated = self.policy.generate(prompts, self.config, batch.seed)
                    seconds = (time.perf_counter() - started) / len(prompts)
                    # Nothing is counted twice, whatever happens while it is.
                    last, pending = pending, None
                    self._take(last)
                    pending = pool.submit(self._record, batch, generated, seconds)
            finally:
                self._take(pending)

    def _record(self, batch: Batch, generated: Sequence[Generated], seconds: float) -> list[Sample]:
        """Grade a batch and write it down: beside the sampling of the next one."""
        found = graded(self.grader, batch, generated, seconds)
        append_samples(self.path, found)
        return found

    def _take(self, recorded: Future[list[Sample]] | None) -> None:
        if recorded is not None:
            self._count(recorded.result())

    def _count(self, found: Sequence[Sample]) -> None:
        for sample in found:
            self.tallies[sample.suite].add(sample)
        if self.on_progress:
            every = self.tallies.values()
            verdicts = sum(each.graded.total() for each in every)
            self.on_progress(
                Progress(
                    suite=found[-1].suite,
                    samples=sum(each.samples for each in every),
                    of=self.total,
                    questions=sum(len(each.graded) for each in every),
                    correct=sum(each.correct.total() for each in every) / verdicts if verdicts else math.nan,
                )
            )
