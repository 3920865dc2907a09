"""A study's plan: what each of its arms needs, and all of them together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from core import Algorithm, Curriculum
from studies.catalog import PROJECT, UsageError
from studies.configuring.parts import build_algorithm
from studies.configuring.resolve import Resolved
from studies.planning.architecture import Architecture, read_architecture
from studies.planning.fitting import Room, refusal
from studies.planning.hours import Decoder, Device, Hours, run_hours
from studies.planning.memory import GIB, Bill, Needs, bill
from studies.planning.work import Lengths, Work, evaluation_work, training_work
from studies.record import RunConfig
from training.providers import needed

CHECKPOINT = 12
"""Bytes a parameter of a checkpoint: weights and Adam's two moments, in fp32."""


@dataclass(frozen=True)
class Means:
    """What the plan is made for.

    Args:
        gpus: Of each run; None takes its own number of ranks.
        gpu_bytes: Memory of a GPU; None where it is not known.
        device: Its speed.
        prompt_tokens: Mean of prompts; None: the longest.
        response_tokens: Mean of responses; None: the longest.
    """

    gpus: int | None
    gpu_bytes: float | None
    device: Device
    prompt_tokens: int | None = None
    response_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("gpus", "gpu_bytes", "prompt_tokens", "response_tokens"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"--{name.replace('_', '-')}={value} must be above 0")
        speeds = dataclasses.asdict(self.device)
        for name, value in speeds.items():
            if not value > 0 or ("utilization" in name and value > 1):
                raise UsageError(f"{name}={value} must be above 0, and a share at most 1")


@dataclass(frozen=True)
class ArmPlan:
    """What one run of an arm needs.

    Args:
        run: The run, with seed 0.
        model: The policy's sizes.
        needs: Models beside the policy.
        ranks: GPUs.
        bill: Memory of a process, at the longest responses.
        work: Tokens and FLOPs at the longest and, where a mean was given, at the mean lengths.
        hours: The same.
        checkpoints: Bytes on disk.
        refusal: Why it does not fit; None where it does or where the GPU's memory is not known.
    """

    run: RunConfig
    model: Architecture
    needs: Needs
    ranks: int
    bill: Bill
    work: tuple[Work, ...]
    hours: tuple[Hours, ...]
    checkpoints: float
    refusal: str | None

    @property
    def trained(self) -> bool:
        """Whether the arm is more than the base policy."""
        return self.run.algorithm is not None


@dataclass(frozen=True)
class StudyPlan:
    """The plan of all arms, times seeds.

    Args:
        resolved: The study.
        means: What it is made for.
        arms: One for each.
        lengths: Of prompts and responses: the longest, and the mean where one was given.
        questions: Of each suite.
    """

    resolved: Resolved
    means: Means
    arms: tuple[ArmPlan, ...]
    lengths: tuple[Lengths, ...]
    questions: dict[str, int]


def plan_study(resolved: Resolved, means: Means) -> StudyPlan:
    """Return a study's plan.

    Raises:
        UsageError: A model or a suite cannot be read, or a length is above the longest.
    """
    runs = resolved.runs[: len(resolved.study.arms)]
    first = runs[0]
    lengths = _lengths(first, means)
    questions = _question_counts(first)
    arms = tuple(_plan_arm(run, means, lengths, questions) for run in runs)
    return StudyPlan(resolved, means, arms, lengths, questions)


def _question_counts(run: RunConfig) -> dict[str, int]:
    from evaluation.suites import count_questions

    limit, folder = run.evaluation.limit, run.suite_data
    try:
        counts = count_questions(run.evaluation.suites, PROJECT / folder if folder else None)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    return {suite: min(count, limit or count) for suite, count in counts.items()}


def _lengths(run: RunConfig, means: Means) -> tuple[Lengths, ...]:
    rollout = run.train.rollout
    most = Lengths(rollout.max_prompt_tokens, rollout.max_response_tokens)
    mean = Lengths(means.prompt_tokens or most.prompt, means.response_tokens or most.response)
    for name in ("prompt", "response"):
        if getattr(mean, name) > getattr(most, name):
            raise UsageError(
                f"--{name}-tokens={getattr(mean, name)} is above rollout.max_{name}_tokens="
                f"{getattr(most, name)}; give a mean"
            )
    return (most,) if mean == most else (most, mean)


def _plan_arm(
    run: RunConfig, means: Means, lengths: tuple[Lengths, ...], questions: dict[str, int]
) -> ArmPlan:
    model = read_architecture(run.policy, run.policy_config)
    algorithm = None if run.algorithm is None else build_algorithm(run.algorithm)
    asked = needed(algorithm) if algorithm is not None else frozenset()
    needs = Needs(critic="value" in asked, reference="reference_logp" in asked)
    ranks = means.gpus or run.ranks
    needed_memory = bill(model, run.train, ranks, needs, means.gpu_bytes)
    decoder = Decoder(model, run.train, means.device, needed_memory)
    work = tuple(_work(run, model, algorithm, each, questions) for each in lengths)
    answers = sum(count * run.evaluation.samples_of(suite) for suite, count in questions.items())
    hours = tuple(
        run_hours(decoder, done, ranks, each, answers, run.evaluation.batch_size)
        for done, each in zip(work, lengths, strict=True)
    )
    refused = None
    if means.gpu_bytes is not None and algorithm is not None:
        refused = refusal(Room(model, needs, means.gpu_bytes), run.train, ranks)
    kept = 0 if algorithm is None else run.train.keep_checkpoints + 1
    models = 2 if needs.critic else 1
    return ArmPlan(
        run, model, needs, ranks, needed_memory, work, hours, kept * models * CHECKPOINT * model.parameters,
        refused,
    )  # fmt: skip


def _work(
    run: RunConfig,
    model: Architecture,
    algorithm: Algorithm | Curriculum | None,
    lengths: Lengths,
    questions: dict[str, int],
) -> Work:
    evaluated = evaluation_work(model, questions, run.evaluation.samples_of, lengths)
    if algorithm is None:
        return evaluated
    return training_work(model, run.train, algorithm, lengths) + evaluated


def gigabytes(size: float | None) -> float | None:
    """Return GiB as bytes."""
    return None if size is None else size * GIB
