"""The training loop, blind to the algorithm: gather experience, learn, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core import Algorithm, Curriculum
from core.prompts import Tokenizer
from training.answers import Reward, Sources
from training.budget import Spent
from training.checkpoint import newest_checkpoint, save_checkpoint
from training.collect import Batch
from training.config import TrainConfig
from training.data import Question
from training.experience import Experience, Lesson, RunState, check_wishes
from training.learner import Learned, Learner
from training.rollout import Sampler
from training.row_use import RowUse
from training.run_dir import RunDirectory
from training.seeds import derive_seed
from training.stages import Moment, moment
from training.transcripts import transcripts
from training.update import NotFiniteError

StepFlops = Callable[[Algorithm, Batch, Sequence[RowUse]], float]
"""Floating-point operations of a step: sampling its batch, scoring and training on its rows."""


def _uncounted(_algorithm: Algorithm, _batch: Batch, _uses: Sequence[RowUse]) -> float:
    return 0.0


def _nothing(_step: int) -> None:
    return None


@dataclass(frozen=True)
class TrainJob:
    """What is trained: everything the loop is handed from outside.

    Args:
        questions: The training set.
        algorithm: The estimator.
        reward: The grader.
        config: Settings.
        seed: Of all that is random.
        flops: Counts the operations of a step; a budget of flops needs it.
        after_step: Is called with the number of each step that is done, before its checkpoint, by all ranks.
            What it raises ends the run.
    """

    questions: Sequence[Question]
    algorithm: Algorithm | Curriculum
    reward: Reward
    config: TrainConfig
    seed: int
    flops: StepFlops = _uncounted
    after_step: Callable[[int], None] = _nothing

    def __post_init__(self) -> None:
        if self.config.budget.flops is not None and self.flops is _uncounted:
            raise ValueError("train.budget.flops needs somebody who counts: give TrainJob.flops")


class Trainer:
    """One training run: what learns, what samples, and the run directory they leave their records in.

    Raises:
        ValueError: The algorithm asks for what this run cannot give it.
    """

    def __init__(
        self, job: TrainJob, learner: Learner, sampler: Sampler, tokenizer: Tokenizer, directory: RunDirectory
    ) -> None:
        self.job, self.config = job, job.config
        self.learner = learner
        self.directory = directory
        self.state = RunState()
        check_wishes(job.algorithm, job.questions, job.config.rollout.samples)
        sources = Sources(sampler, tokenizer, job.reward, job.config.rollout, learner.ranks)
        self.experience = Experience(job.questions, sources, job.config.questions_per_step, job.seed)

    def run(self) -> int:
        """Train from the newest checkpoint, or from the start, to the last step; return how many there were.

        Raises:
            NotFiniteError: A loss or gradient is not a number; its batch lies in the run's failure folder.
        """
        step = self._resume()
        while not self._ended(step):
            self.directory.write_status("running", "train", step, self.config.steps)
            self.directory.append_metrics(self._step(step))
            step += 1
            self.job.after_step(step)
            if step % self.config.checkpoint_every == 0 or self._ended(step):
                self._save(step)
        return step

    def _ended(self, step: int) -> bool:
        return step == self.config.steps or self.state.spent.reaches(self.config.budget)

    def _resume(self) -> int:
        found = newest_checkpoint(self.directory.checkpoints, self.learner.ranks)
        done = 0
        if found is not None:
            done, path = found
            self.learner.load(path)
            self.state = RunState.from_json((path / "state.json").read_text())
        self.directory.keep_steps(done)
        return done

    def _save(self, step: int) -> None:
        def write(path: Path) -> None:
            self.learner.save(path)
            if self.learner.ranks.first:
                (path / "state.json").write_text(self.state.to_json())

        keep, ranks = self.config.keep_checkpoints, self.learner.ranks
        save_checkpoint(self.directory.checkpoints, step, write, keep, ranks)

    def _step(self, step: int) -> dict[str, Any]:
        started = time.perf_counter()
        now = moment(self.job.algorithm, step, self.config.steps)
        if now.begins_stage:
            self.learner.reset_optimizer()
            self.state.begin_stage()
        torch.manual_seed(derive_seed(self.job.seed, "step", step))
        lesson = self.experience.gather(now, self.state)
        collected_at = time.perf_counter()
        learning_rate = self._learning_rate(step)
        learned = self._learn(lesson, now, learning_rate)
        self.state.memory = {part: dict(state) for part, state in learned.memory.items()}
        self.state.skipped_steps += learned.report.skipped
        self._record_responses(step, lesson, learned)
        self.state.spent.add(self._spent(lesson, learned, time.perf_counter() - started))
        return {
            "step": step + 1,
            "train/learning_rate": learning_rate,
            "train/skipped_steps": self.state.skipped_steps,
            **learned.metrics(),
            **lesson.metrics,
            **self.state.spent.metrics(),
            "time/rollout": lesson.batch.seconds_rollout,
            "time/reward": lesson.batch.seconds_reward,
            "time/train": time.perf_counter() - collected_at,
            "time/step": time.perf_counter() - started,
        }

    def _learn(self, lesson: Lesson, now: Moment, learning_rate: float) -> Learned:
        try:
            return self.learner.learn(
                lesson.algorithm,
                lesson.batch.responses,
                learning_rate=learning_rate,
                progress=now.progress,
                memory=self.state.memory,
            )
        except NotFiniteError as error:
            self.directory.failure.mkdir(exist_ok=True)
            rank = "" if self.learner.ranks.first else f"-rank{self.learner.ranks.rank}"
            path = self.directory.failure / f"step-{now.step + 1:06d}{rank}.pt"
            torch.save(error.batch, path)
            raise NotFiniteError(
                f"step {now.step + 1}: {error}; its batch is in {path}", error.batch
            ) from error

    def _spent(self, lesson: Lesson, learned: Learned, seconds: float) -> Spent:
        spent = Spent(
            lesson.metrics["rollout/tokens"],
            learned.report.offline_tokens,
            self.job.flops(lesson.algorithm, lesson.batch, learned.uses),
            seconds,
        )
        # Clocks differ, and ranks must agree on which step is the last.
        return self.learner.ranks.from_first(spent)

    def _record_responses(self, step: int, lesson: Lesson, learned: Learned) -> None:
        limit, tokenizer = self.config.record_questions, self.experience.sources.tokenizer
        records = transcripts(lesson.batch, learned.uses, self.experience.by_id, tokenizer, limit)
        self.directory.append_rollouts([{"step": step + 1, **record} for record in records])

    def _learning_rate(self, step: int) -> float:
        warmup = self.config.optimizer.warmup_steps
        return self.config.optimizer.learning_rate * min(1.0, (step + 1) / (warmup + 1))
