"""One attempt at a trial, from its first run's start to what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studies.directories import (
    PRUNED,
    keep_reason,
    read_status,
    reopen,
    run_directory,
    run_state,
    write_failed,
)
from studies.record import RunConfig
from studies.running.pool import Reply, Worker
from studies.sweeping.board import Board, Taken
from studies.sweeping.objective import finite, last_validation, read_scores, score_of, validated


@dataclass
class Job:
    """An attempt under way: the runs of its seeds, one after another."""

    taken: Taken
    runs: Sequence[RunConfig]
    folder: Path
    seed: int = 0
    reported: list[int] = field(default_factory=list)
    reply: Reply | None = None

    @property
    def run(self) -> RunConfig:
        """The run that is under way."""
        return self.runs[self.seed]

    @property
    def directories(self) -> list[Path]:
        """Of all runs."""
        return [run_directory(self.folder, run.arm, run.seed).resolve() for run in self.runs]

    @property
    def directory(self) -> Path:
        """Of the run that is under way."""
        return self.directories[self.seed]


def start(worker: Worker, job: Job) -> None:
    """Have a job's run carried out, or gone on with."""
    job.reply = None
    if run_state(job.directory) == "failed":
        reopen(job.directory)
    worker.give(job.run, job.directory)


@dataclass(frozen=True)
class Follower:
    """Reads what jobs leave behind, and tells the board.

    Args:
        board: The sweep's trials.
        tell: Is told what happens, a line at a time.
    """

    board: Board
    tell: Callable[[str], None]

    def follow(self, worker: Worker, job: Job) -> bool:
        """Look at a job: what was validated since, and whether its run ended; return whether it is over."""
        # The reply first: all that a run has validated is there when it has ended.
        job.reply = job.reply or worker.hear()
        if job.seed == 0 and self._falls_behind(worker, job):
            return True
        return job.reply is not None and self._conclude(worker, job, job.reply)

    def _falls_behind(self, worker: Worker, job: Job) -> bool:
        every, steps = job.run.validation.every, job.run.train.steps
        assert every is not None
        for step in validated(job.directory, every, steps):
            if step in job.reported:
                continue
            score = score_of(read_scores([job.directory], [step]))
            self.board.report(job.taken.attempt, step, score.mean)
            if step < steps and self.board.to_prune(job.taken.number):
                self._prune(worker, job, step, finite(score.standard_error))
                return True
            job.reported.append(step)
        return False

    def _prune(self, worker: Worker, job: Job, step: int, error: float | None) -> None:
        if job.reply is None:
            worker.end()
            job.reply = Reply("pruned")
        reason = f"after step {step}: behind other trials in validation"
        # Its records stay, and say why there are no more of them.
        write_failed(job.directory, f"{PRUNED}{reason}")
        self.board.pruned(job.taken.attempt, reason, error, step)
        self.tell(f"pruned    {job.run.arm} after step {step}")

    def _conclude(self, worker: Worker, job: Job, reply: Reply) -> bool:
        if reply.reason is not None:
            self._fail(worker, job, reply)
            return True
        if job.seed + 1 < len(job.runs):
            job.seed += 1
            start(worker, job)
            return False
        self._complete(job)
        return True

    def _complete(self, job: Job) -> None:
        try:
            steps = [last_validation(run, path) for run, path in zip(job.runs, job.directories, strict=True)]
            score = score_of(read_scores(job.directories, steps))
            if finite(score.mean) is None:
                raise ValueError(f"{job.run.arm}: no answer has a verdict, so that there is no score")
        except (OSError, ValueError) as error:
            self.board.failed(job.taken.attempt, str(error))
            self.tell(f"failed    {job.run.arm}: {error}")
            return
        self.board.completed(job.taken.attempt, score.mean, finite(score.standard_error), max(steps))
        self.tell(f"complete  {job.run.arm}: {100 * score.mean:.1f} %")

    def _fail(self, worker: Worker, job: Job, reply: Reply) -> None:
        status, reason = read_status(job.directory), reply.reason or ""
        worker.end()  # what is left of a failed run in its process must not reach the next one
        if reply.died and (status is None or status.state != "failed"):
            self.board.lost(job.taken.attempt)
            self.tell(f"again     {job.run.arm}: {reason}")
            return
        if reply.died and status is not None:  # one of several ranks raised, and took the others with it
            reason = status.reason or reason
        keep_reason(job.directory, reason)
        self.board.failed(job.taken.attempt, reason)
        self.tell(f"failed    {job.run.arm}: {reason}")
