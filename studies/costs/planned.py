"""The work of a run by the closed forms of studies/planning, validations and budgets included."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from core import Stage
from evaluation.config import EvalConfig
from studies.catalog import PROJECT, UsageError
from studies.configuring.parts import build_algorithm
from studies.planning.architecture import Architecture, read_architecture
from studies.planning.hours import HOUR, Decoder, Device, run_hours
from studies.planning.memory import Needs, bill
from studies.planning.work import Lengths, Work, evaluation_work, training_work
from studies.record import RunConfig

A100 = Device(312e12, 2039e9, 0.4, 0.5)
"""What `studies.plan` takes a GPU to be where it is told nothing else."""


@dataclass(frozen=True)
class Planned:
    """One run's work.

    Args:
        steps: Of training, as many as its budget lets it take.
        step: Work of one, the mean over stages.
        evaluation: Of the final evaluation and all validations.
        answers: Of these.
    """

    steps: int
    step: Work
    evaluation: Work
    answers: int

    @property
    def whole(self) -> Work:
        """All of it."""
        return self.step.scaled(self.steps) + self.evaluation


def flops(work: Work) -> float:
    """Return all operations of some work."""
    return work.train + work.score + work.sample


def longest(run: RunConfig) -> Lengths:
    """Return the longest prompts and responses that a run's settings allow."""
    rollout = run.train.rollout
    return Lengths(rollout.max_prompt_tokens, rollout.max_response_tokens)


def plan_run(run: RunConfig, lengths: Lengths, step_seconds: float | None = None) -> Planned:
    """Return what a run takes.

    Args:
        run: Its configuration.
        lengths: Mean tokens of prompts and responses.
        step_seconds: What a step takes, for a budget of seconds; None: that budget is not looked at.

    Raises:
        UsageError: Its policy or its suites cannot be read.
    """
    model = architecture(run)
    steps, step = 0, Work()
    if run.algorithm is not None:
        algorithm = build_algorithm(run.algorithm)
        step = training_work(model, run.train, algorithm, lengths).scaled(1 / run.train.steps)
        shown = any("demonstrations" in needs for needs in map(_needs, algorithm.stages))
        given = run.train.questions_per_step * lengths.response if shown else 0.0
        steps = _within_budget(run, Spent(step.sampled, given, flops(step), step_seconds or 0.0))
    evaluation, answers = _evaluated(model, run.evaluation, run.suite_data, lengths)
    validation = run.validation
    if steps and validation.every is not None and steps >= validation.every:
        times = steps // validation.every
        once, asked = _evaluated(model, validation.protocol(run.evaluation), run.suite_data, lengths)
        evaluation, answers = evaluation + once.scaled(times), answers + times * asked
    return Planned(steps, step, evaluation, answers)


def expected_flops(run: RunConfig) -> float:
    """Return about how many operations a run takes; 0 where its files cannot be read, as it will tell."""
    try:
        return flops(plan_run(run, longest(run)).whole)
    except UsageError:
        return 0.0


def _needs(stage: Stage) -> frozenset[str]:
    return stage.algorithm.needs | stage.algorithm.plan_needs


class Spent(NamedTuple):
    """What a step spends, by the names of `training.budget.Budget`."""

    generated_tokens: float
    demonstration_tokens: float
    flops: float
    seconds: float


def _within_budget(run: RunConfig, step: Spent) -> int:
    """Return the steps that a run takes: the one that reaches a limit is the last."""
    spent: Mapping[str, float] = step._asdict()
    limits = run.train.budget.limits.items()
    most = [math.ceil(limit / spent[name]) for name, limit in limits if spent[name]]
    return min([run.train.steps, *most])


def _evaluated(
    model: Architecture, protocol: EvalConfig, data: str | None, lengths: Lengths
) -> tuple[Work, int]:
    counts = _counted(protocol.suites, data)
    questions = {suite: min(count, protocol.limit or count) for suite, count in counts.items()}
    answers = sum(count * protocol.samples_of(suite) for suite, count in questions.items())
    return evaluation_work(model, questions, protocol.samples_of, lengths), answers


@cache
def _counted(suites: tuple[str, ...], data: str | None) -> Mapping[str, int]:
    from evaluation.suites import count_questions

    try:
        return count_questions(suites, PROJECT / data if data else None)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def architecture(run: RunConfig) -> Architecture:
    """Return the sizes of a run's policy; the same one is read once."""
    return _architecture(run.policy, json.dumps(dict(run.policy_config), sort_keys=True))


@cache
def _architecture(policy: str, overrides: str) -> Architecture:
    return read_architecture(policy, json.loads(overrides))


def estimated_seconds(run: RunConfig, planned: Planned, lengths: Lengths) -> tuple[float, float]:
    """Return the seconds of a step and of an answer on `A100`, as `studies.plan` estimates them."""
    model = architecture(run)
    decoder = Decoder(model, run.train, A100, bill(model, run.train, run.ranks, Needs(), None))

    def seconds(work: Work, answers: int) -> float:
        return HOUR * run_hours(decoder, work, run.ranks, lengths, answers, run.evaluation.batch_size).total

    answers = planned.answers
    return seconds(planned.step, 0), seconds(Work(), answers) / answers if answers else 0.0
