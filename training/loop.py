"""The training loop, blind to the algorithm: gather experience, learn, record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core import Algorithm, Curriculum
from training.answers import Reward, Sources
from training.checkpoint import newest_checkpoint, save_checkpoint
from training.config import TrainConfig
from training.data import Question
from training.experience import Experience, Lesson, RunState, check_wishes
from training.learner import Learned, Learner
from training.prompts import Tokenizer
from training.rollout import Sampler
from training.run_dir import RunDirectory
from training.seeds import derive_seed
from training.stages import Moment, moment
from training.update import NotFiniteError


@dataclass(frozen=True)
class TrainJob:
    """What is trained: everything the loop is handed from outside."""

    questions: Sequence[Question]
    algorithm: Algorithm | Curriculum
    reward: Reward
    config: TrainConfig
    seed: int


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
        sources = Sources(sampler, tokenizer, job.reward, job.config.rollout)
        self.experience = Experience(job.questions, sources, job.config.questions_per_step, job.seed)

    def run(self) -> None:
        """Train from the newest checkpoint, or from the start, to the last step.

        Raises:
            NotFiniteError: A loss or gradient is not a number; its batch lies in the run's failure folder.
        """
        done = self._resume()
        for step in range(done, self.config.steps):
            self.directory.write_status("running", "train", step, self.config.steps)
            self.directory.append_metrics(self._step(step))
            if (step + 1) % self.config.checkpoint_every == 0 or step + 1 == self.config.steps:
                self._save(step + 1)

    def _resume(self) -> int:
        found = newest_checkpoint(self.directory.checkpoints)
        done = 0
        if found is not None:
            done, path = found
            self.learner.load(path)
            self.state = RunState.from_json((path / "state.json").read_text())
        self.directory.keep_metrics(done)
        return done

    def _save(self, step: int) -> None:
        def write(path: Path) -> None:
            self.learner.save(path)
            (path / "state.json").write_text(self.state.to_json())

        save_checkpoint(self.directory.checkpoints, step, write, self.config.keep_checkpoints)

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
        return {
            "step": step + 1,
            "train/learning_rate": learning_rate,
            "train/skipped_steps": self.state.skipped_steps,
            **learned.metrics(),
            **lesson.metrics,
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
            path = self.directory.failure / f"step-{now.step + 1:06d}.pt"
            torch.save(error.batch, path)
            raise NotFiniteError(
                f"step {now.step + 1}: {error}; its batch is in {path}", error.batch
            ) from error

    def _learning_rate(self, step: int) -> float:
        warmup = self.config.optimizer.warmup_steps
        return self.config.optimizer.learning_rate * min(1.0, (step + 1) / (warmup + 1))
