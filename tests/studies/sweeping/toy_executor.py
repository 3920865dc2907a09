"""Stands in for `studies.execute` in sweeps: run directories with validations, step by step and resumable.

A run's chance to answer rightly is a function of its learning rate, clip range and step alone, so that its
scores depend on nothing else. TOY_SECONDS a step; TOY_RAISE="trial-003" raises in that trial's runs;
TOY_KILL="trial-003:1" has the process kill itself in the first attempt at it; TOY_GATE names a file that all
trials but the first ones wait for.
"""

import hashlib
import os
import signal
import time

from evaluation.records import Evaluation, SuiteInfo, write_evaluation
from evaluation.samples import Sample
from studies.record import to_json
from studies.validation import validation_directory
from tests.studies.toy_executor import CHECKPOINT_EVERY, METRICS
from training.run_dir import RunDirectory

QUESTIONS = 24
UNGATED = 4


def execute(run, directory):
    records = RunDirectory(directory)
    records.write_config(to_json(run), {})
    saved = directory / "checkpoint"
    first = int(saved.read_text()) if saved.exists() else 0
    with (directory / "attempts").open("a") as file:
        file.write(f"{os.getpid()} {first}\n")
    wait_for_gate(run)
    attempts = len((directory / "attempts").read_text().splitlines())
    records.keep_steps(first)
    steps = run.train.steps
    for step in range(first + 1, steps + 1):
        records.write_status("running", "train", step - 1, steps)
        time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
        records.append_metrics({"step": step, "rollout/solve_rate": 0.5, **METRICS})
        if run.validation.due(step):
            protocol = run.validation.protocol(run.evaluation)
            evaluate(run, protocol, step, validation_directory(directory, step))
        if step % CHECKPOINT_EVERY == 0:
            saved.write_text(str(step))
        if step == 3:
            misbehave(run, attempts, records, steps)
    evaluate(run, run.evaluation, steps, directory)
    records.write_status("finished", "evaluate", steps, steps)


def wait_for_gate(run):
    gate = os.environ.get("TOY_GATE")
    while gate and int(run.arm.removeprefix("trial-")) >= UNGATED and not os.path.exists(gate):
        time.sleep(0.02)


def misbehave(run, attempts, records, steps):
    if os.environ.get("TOY_RAISE") == run.arm:
        raise ValueError("toy reason")
    arm, _, times = os.environ.get("TOY_KILL", "").rpartition(":")
    if arm == run.arm and attempts <= int(times):
        os.kill(os.getpid(), signal.SIGKILL)


def chance(run, step):
    """Return how likely an answer is right: best at a rate of 1e-3 and a low clip of 0.3."""
    arguments = run.algorithm.arguments if run.algorithm else {}
    rate, low = run.train.optimizer.learning_rate, arguments.get("clip_low", 0.2)
    return max(0.05, 0.9 - 400 * abs(rate - 1e-3) - abs(low - 0.3)) * step / run.train.steps


def evaluate(run, protocol, step, directory):
    directory.mkdir(parents=True, exist_ok=True)
    count = min(protocol.limit or QUESTIONS, QUESTIONS)
    samples = [
        Sample(
            suite=suite,
            question=str(question),
            sample=sample,
            outcome=outcome(run, step, suite, question, sample),
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
    infos = {
        name: SuiteInfo("1", count, protocol.samples, "in_distribution", "0") for name in protocol.suites
    }
    write_evaluation(directory, Evaluation(run.seed, protocol, infos), samples)


def outcome(run, step, suite, question, sample):
    drawn = hashlib.sha256(f"{run.seed} {suite} {question} {sample}".encode()).hexdigest()[:8]
    return "correct" if int(drawn, 16) / 2**32 < chance(run, step) else "wrong"
