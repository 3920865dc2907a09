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
    records = RunDirectory(directory)
    records.write_config(to_json(run), {})
    saved = directory / "checkpoint"
    first = int(saved.read_text()) if saved.exists() else 0
    with (directory / "attempts").open("a") as file:
        file.write(f"{os.getpid()} {first}\n")
    attempts = len((directory / "attempts").read_text().splitlines())
    records.keep_steps(first)
    steps = run.train.steps if run.algorithm else 0
    for step in range(first + 1, steps + 1):
        records.write_status("running", "train", step - 1, steps)
        time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
        records.append_metrics({"step": step, "rollout/solve_rate": chance(run, step), **METRICS})
        if step % CHECKPOINT_EVERY == 0:
            saved.write_text(str(step))
        if step == 3:
            misbehave(run, attempts, records, steps)
    records.write_status("running", "evaluate", steps, steps)
    evaluate(run, directory)
    sys.stdout.write(f"done with {run.arm}\n")
    records.write_status("finished", "evaluate", steps, steps)


def misbehave(run, attempts, records, steps):
    me = f"{run.arm}:{run.seed}"
    if os.environ.get("TOY_RAISE") == me:
        sys.stdout.write("about to raise\n")
        records.write_status("failed", "train", 3, steps, "ValueError: toy reason")
        raise ValueError("toy reason")
    cell, _, times = os.environ.get("TOY_KILL", "").rpartition(":")
    if cell == me and attempts <= int(times):
        os.kill(os.getpid(), signal.SIGKILL)


def chance(run, *more):
    text = json.dumps([run.arm, run.seed, *more])
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def evaluate(run, directory):
    suites, k = run.evaluation.suites, run.evaluation.samples
    samples = [
        Sample(
            suite=suite,
            question=str(question),
            sample=sample,
            outcome=outcome(run, suite, question, sample),
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
        for suite in suites
        for question in range(4)
        for sample in range(k)
    ]
    infos = {name: SuiteInfo("1", 4, k, None, "0") for name in suites}
    write_evaluation(directory, Evaluation(run.seed, run.evaluation, infos), samples)


def outcome(run, *sample):
    return "correct" if chance(run, *sample) < 0.5 else "wrong"
