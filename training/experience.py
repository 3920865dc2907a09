"""What each step trains on, and what a run remembers from step to step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from core import Algorithm, Curriculum, SideStep
from core.types import State
from training.answers import Sources
from training.budget import Spent
from training.collect import Batch, Request, collect, rollout_metrics, solve_rates, wish_metrics
from training.data import Question
from training.question_order import questions_of_step
from training.seeds import derive_seed
from training.stages import Moment


@dataclass
class RunState:
    """What a run remembers beside its weights; a checkpoint holds it as JSON.

    Args:
        skipped_steps: Optimizer steps that were not applied.
        memory: What stateful parts of the stage's algorithm and of its side steps remember, by their repr.
        buffer: Ids of the questions that await a side step, oldest first.
        asides: Side steps taken.
        spent: What its steps cost so far.
    """

    skipped_steps: int = 0
    memory: dict[str, State] = field(default_factory=dict)
    buffer: list[int] = field(default_factory=list)
    asides: int = 0
    spent: Spent = field(default_factory=Spent)

    def begin_stage(self) -> None:
        """Forget what the stage before left: another algorithm takes over."""
        self.memory, self.buffer = {}, []

    def to_json(self) -> str:
        """Return the state as text; its numbers come back as they were, bit for bit."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunState:
        """Return the state that `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"spent": Spent(**values.get("spent", {}))})


class Lesson(NamedTuple):
    """What one step trains on: the algorithm it is a step of, its rows, and what is recorded of them."""

    algorithm: Algorithm
    batch: Batch
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Experience:
    """The training set, and what answers its questions.

    Every epoch asks all questions, in a new order. Side steps take none out of it: the step after one asks
    what it would have asked in the side step's place.

    Args:
        questions: The training set.
        sources: What samples and grades.
        per_step: Questions of a step that is no side step.
        seed: The run's.
    """

    questions: Sequence[Question]
    sources: Sources
    per_step: int
    seed: int

    @cached_property
    def by_id(self) -> Mapping[int, Question]:
        """The training set by the questions' ids."""
        return {question.id: question for question in self.questions}

    def gather(self, now: Moment, state: RunState) -> Lesson:
        """Return what a step trains on, and set questions aside for later.

        A step is one aside as soon as enough questions wait for it; those leave the buffer.
        """
        aside = now.algorithm.aside
        if aside is not None and len(state.buffer) >= aside.questions:
            chosen, state.buffer = state.buffer[: aside.questions], state.buffer[aside.questions :]
            state.asides += 1
            lesson = self._collect(aside.algorithm, [self.by_id[each] for each in chosen], now)
            return lesson._replace(metrics=lesson.metrics | _aside_metrics(1, state))
        lesson = self._collect(now.algorithm, self._in_order(now.step - state.asides), now)
        if aside is None:
            return lesson
        self._set_aside(lesson.batch, aside, state)
        return lesson._replace(metrics=lesson.metrics | _aside_metrics(0, state))

    def _in_order(self, position: int) -> list[Question]:
        chosen = questions_of_step(len(self.questions), self.per_step, position, self.seed)
        return [self.questions[index] for index in chosen]

    def _collect(self, algorithm: Algorithm, questions: Sequence[Question], now: Moment) -> Lesson:
        request = Request(
            algorithm.needs,
            derive_seed(self.seed, "rollout", now.step),
            algorithm.rollouts,
            now.progress,
            self.questions,
        )
        batch = collect(questions, request, self.sources)
        metrics = rollout_metrics(batch) | wish_metrics(batch, request) | self._levels(batch)
        return Lesson(algorithm, batch, metrics)

    def _levels(self, batch: Batch) -> dict[str, Any]:
        """Return the level of each question that rollouts answered; nothing where the data tell none."""
        asked = dict.fromkeys(rollout.response.question for rollout in batch.rollouts)
        told = [[question, self.by_id[question].level] for question in asked]
        levels = [[question, level] for question, level in told if level is not None]
        return {"rollout/levels": levels} if levels else {}

    def _set_aside(self, batch: Batch, aside: SideStep, state: RunState) -> None:
        """Remember the questions that failed, each once, if there is a demonstration to learn from.

        Those that dynamic sampling dropped from the step were asked all the same.
        """
        shown = {question.id for question in self.questions if question.demonstration is not None}
        for question, rate in solve_rates(batch.rollouts).items():
            if rate <= aside.threshold and question in shown and question not in state.buffer:
                state.buffer.append(question)


def _aside_metrics(aside: int, state: RunState) -> dict[str, Any]:
    """Return whether a step was one aside, and how many questions wait for the next."""
    return {"train/aside": aside, "train/buffer": len(state.buffer)}


def check_wishes(algorithm: Algorithm | Curriculum, questions: Iterable[Question], samples: int) -> None:
    """Raise ValueError for what an algorithm asks of rollouts and cannot get in this run.

    Args:
        algorithm: What the run trains.
        questions: Its training set.
        samples: Rollouts of each question.
    """
    shown = sum(question.demonstration is not None for question in questions)
    mains = [stage.algorithm for stage in algorithm.stages]
    for main in mains:
        if main.aside is not None:
            _check_aside(main, main.aside, shown)
    for each in [*mains, *(main.aside.algorithm for main in mains if main.aside is not None)]:
        if each.rollouts.dynamic is not None and samples < 2:
            raise ValueError(
                f"algorithm {each.name!r} keeps questions whose rollouts have different rewards, and "
                f"rollout.samples={samples} gives each question one; sample at least 2"
            )


def _check_aside(main: Algorithm, aside: SideStep, shown: int) -> None:
    if aside.algorithm.aside is not None:
        raise ValueError(
            f"the side steps of algorithm {main.name!r} have side steps of their own, which are never taken; "
            f"give {aside.algorithm.name!r} none"
        )
    if "rollouts" not in main.needs:
        raise ValueError(
            f"algorithm {main.name!r} samples no rollouts, so no question can fail and no side step comes; "
            "drop the SideStep, or use terms on rollouts"
        )
    if aside.questions > shown:
        raise ValueError(
            f"SideStep.questions={aside.questions} of algorithm {main.name!r} is more than the {shown} "
            "questions of the training set that have a demonstration, so no side step would come; lower it"
        )
