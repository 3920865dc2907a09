"""The training loop, blind to the algorithm: sample, reward, plan, step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core import Algorithm, Curriculum
from training.checkpoint import newest_checkpoint, save_checkpoint
from training.collect import Batch, Reward, Sources, collect, rollout_metrics, share
from training.config import TrainConfig
from training.data import Question, questions_of_step
from training.engine import Engine
from training.prompts import Tokenizer
from training.responses import Response
from training.rollout import Sampler
from training.run_dir import RunDirectory
from training.seeds import derive_seed
from training.update import NotFiniteError, UpdateReport, behavior_logp, update


@dataclass(frozen=True)
class TrainJob:
    """What is trained: everything the loop is handed from outside."""

    questions: Sequence[Question]
    algorithm: Algorithm | Curriculum
    reward: Reward
    config: TrainConfig
    seed: int


class Trainer:
    """One training run: the engine, the sampler, and the run directory they leave their records in."""

    def __init__(
        self, job: TrainJob, engine: Engine, sampler: Sampler, tokenizer: Tokenizer, directory: RunDirectory
    ) -> None:
        self.job, self.config = job, job.config
        self.engine = engine
        self.directory = directory
        self.skipped = 0
        self._sources = Sources(sampler, tokenizer, job.reward, job.config.rollout)

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
            self.engine.load(path)
            self.skipped = json.loads((path / "state.json").read_text())["skipped_steps"]
        self.directory.keep_metrics(done)
        return done

    def _save(self, step: int) -> None:
        def write(path: Path) -> None:
            self.engine.save(path)
            (path / "state.json").write_text(json.dumps({"skipped_steps": self.skipped}))

        save_checkpoint(self.directory.checkpoints, step, write, self.config.keep_checkpoints)

    def _stage(self, step: int) -> tuple[Algorithm, bool]:
        """Return the algorithm of a step, and whether the step is the first of a later stage."""
        starts = stage_starts(self.job.algorithm, self.config.steps)
        index = max(i for i, start in enumerate(starts) if start <= step)
        return self.job.algorithm.stages[index].algorithm, index > 0 and step == starts[index]

    def _step(self, step: int) -> dict[str, Any]:
        started = time.perf_counter()
        algorithm, new_stage = self._stage(step)
        if new_stage:
            self.engine.reset_optimizer()
        torch.manual_seed(self._seed("step", step))
        batch = collect(self._questions(step), algorithm.needs, self._sources, self._seed("rollout", step))
        collected_at = time.perf_counter()
        learning_rate = self._learning_rate(step)
        try:
            report = self._updates(algorithm, batch, learning_rate)
        except NotFiniteError as error:
            self.directory.failure.mkdir(exist_ok=True)
            path = self.directory.failure / f"step-{step + 1:06d}.pt"
            torch.save(error.batch, path)
            raise NotFiniteError(f"step {step + 1}: {error}; its batch is in {path}", error.batch) from error
        self.skipped += report.skipped
        seconds = {
            "time/rollout": batch.seconds_rollout,
            "time/reward": batch.seconds_reward,
            "time/train": time.perf_counter() - collected_at,
            "time/step": time.perf_counter() - started,
        }
        return {
            "step": step + 1,
            "train/learning_rate": learning_rate,
            "train/skipped_steps": self.skipped,
            **_update_metrics(report),
            **rollout_metrics(batch),
            **seconds,
        }

    def _learning_rate(self, step: int) -> float:
        warmup = self.config.optimizer.warmup_steps
        return self.config.optimizer.learning_rate * min(1.0, (step + 1) / (warmup + 1))

    def _questions(self, step: int) -> list[Question]:
        chosen = questions_of_step(
            len(self.job.questions), self.config.questions_per_step, step, self.job.seed
        )
        return [self.job.questions[index] for index in chosen]

    def _seed(self, purpose: str, step: int) -> int:
        return derive_seed(self.job.seed, purpose, step)

    def _updates(self, algorithm: Algorithm, batch: Batch, learning_rate: float) -> UpdateReport:
        """Take the step's updates, each on its share of the questions."""
        shares = list(_shares(batch.responses, self.config.updates_per_step))
        behavior: list[list[torch.Tensor] | None] = [None] * len(shares)
        if "behavior_logp" in algorithm.needs:
            budget = self.config.engine.micro_batch_tokens
            behavior[1:] = [behavior_logp(self.engine, rows, budget) for rows in shares[1:]]
        report = UpdateReport()
        for rows, known in zip(shares, behavior, strict=True):
            report.add(update(self.engine, algorithm, rows, learning_rate, known))
        return report


def stage_starts(algorithm: Algorithm | Curriculum, steps: int) -> list[int]:
    """Return the first step (from 0) of each stage."""
    shares = [stage.share for stage in algorithm.stages]
    return [round(steps * sum(shares[:index])) for index in range(len(shares))]


def _shares(responses: Sequence[Response], parts: int) -> Iterator[list[Response]]:
    """Split responses into `parts` by question, in order of first appearance, whole questions each."""
    questions = list(dict.fromkeys(response.question for response in responses))
    for part in range(parts):
        own = set(questions[part * len(questions) // parts : (part + 1) * len(questions) // parts])
        rows = [response for response in responses if response.question in own]
        if rows:
            yield rows


def _update_metrics(report: UpdateReport) -> dict[str, Any]:
    return {
        "train/loss_surrogate": report.loss,
        "train/gradient_norm": report.gradient_norm,
        "train/rows": report.rows,
        "train/tokens": report.tokens,
        "policy/entropy": share(report.entropy, report.tokens),
        "policy/ratio": share(report.ratio, report.term_tokens),
        "policy/masked_share": share(report.masked, report.term_tokens),
        "data/rows": report.selected_rows,
        "data/tokens": report.selected_tokens,
        "data/offline_row_share": share(report.offline_rows, report.selected_rows),
        "data/offline_token_share": share(report.offline_tokens, report.selected_tokens),
    }
