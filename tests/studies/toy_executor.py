"""Stands in for `studies.execute`: no model, but a real run directory, made step by step and resumable.

What happens is chosen by the environment: TOY_SECONDS a step; TOY_RAISE="arm:seed" raises;
TOY_KILL="arm:seed:n" has the process kill itself in the run's first n attempts.
"""

import hashlib
import json
import os
import signal
import sys
import time

from evaluation.records import Evaluation, SuiteInfo, write_evaluation
from evaluation.samples import Sample
from studies.record import to_json
from training.run_dir import RunDirectory

METRICS = {
    "data/rows": 4,
    "data/offline_row_share": 0.0,
    "data/offline_token_share": 0.0,
    "data/tokens": 10,
    "rollout/response_tokens": 5.0,
    "rollout/entropy": 0.5,
}
CHECKPOINT_EVERY = 2


def execute(run, directory):
    Toy(run, directory).execute()


def share(text):
    """Return a number between 0 and 1 that is a text's own."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


class Toy:
    """A run whose answers are drawn by its arm and seed."""

    split = None

    def __init__(self, run, directory):
        self.run, self.directory, self.records = run, directory, RunDirectory(directory)

    def execute(self):
        self.records.write_config(to_json(self.run), {})
        saved = self.directory / "checkpoint"
        first = int(saved.read_text()) if saved.exists() else 0
        with (self.directory / "attempts").open("a") as file:
            file.write(f"{os.getpid()} {first}\n")
        self.begin()
        self.records.keep_steps(first)
        steps = self.run.train.steps if self.run.algorithm else 0
        for step in range(first + 1, steps + 1):
            self.records.write_status("running", "train", step - 1, steps)
            time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
            self.records.append_metrics(
                {"step": step, "rollout/solve_rate": self.solve_rate(step), **METRICS}
            )
            self.after_step(step)
            if step % CHECKPOINT_EVERY == 0:
                saved.write_text(str(step))
            if step == 3:
                self.misbehave(step, steps)
        self.records.write_status("running", "evaluate", steps, steps)
        self.evaluate(self.run.evaluation, steps, self.directory)
        sys.stdout.write(f"done with {self.run.arm}\n")
        self.records.write_status("finished", "evaluate", steps, steps)

    def begin(self):
        """Do what comes before the first step."""

    def after_step(self, step):
        """Do what comes after a step's metrics."""

    def misbehave(self, step, steps):
        me = f"{self.run.arm}:{self.run.seed}"
        if os.environ.get("TOY_RAISE") == me:
            sys.stdout.write("about to raise\n")
            self.records.write_status("failed", "train", step, steps, "ValueError: toy reason")
            raise ValueError("toy reason")
        cell, _, times = os.environ.get("TOY_KILL", "").rpartition(":")
        attempts = (self.directory / "attempts").read_text().splitlines()
        if cell == me and len(attempts) <= int(times):
            os.kill(os.getpid(), signal.SIGKILL)

    def evaluate(self, protocol, step, directory):
        directory.mkdir(parents=True, exist_ok=True)
        count = self.questions(protocol)
        samples = [
            Sample(
                suite=suite,
                question=str(question),
                sample=sample,
                outcome="correct" if self.solves(step, suite, question, sample) else "wrong",
                extracted=None,
                how="exact",
                tokens=3,
                truncated=False,
                response="",
                golds=("1",),
                prompt_sha256="0",
                seed=0,
                seconds=0.0,
                grading_seconds=0.0,
            )
            for suite in protocol.suites
            for question in range(count)
            for sample in range(protocol.samples)
        ]
        infos = {name: SuiteInfo("1", count, protocol.samples, self.split, "0") for name in protocol.suites}
        write_evaluation(directory, Evaluation(self.run.seed, protocol, infos), samples)

    def questions(self, protocol):
        return 4

    def solve_rate(self, step):
        return self.drawn(step)

    def solves(self, step, *sample):
        return self.drawn(*sample) < 0.5

    def drawn(self, *more):
        return share(json.dumps([self.run.arm, self.run.seed, *more]))
