"""Where in the run a step stands."""

from __future__ import annotations

from typing import NamedTuple

from core import Algorithm, Curriculum


class Moment(NamedTuple):
    """A step and its stage.

    Args:
        step: From 0.
        algorithm: The stage's.
        progress: Share of the stage's own steps that are done before this one, in [0, 1): the schedules of
            each stage of a Curriculum run from their start to their end within it.
        begins_stage: Whether it is the first step of a later stage.
    """

    step: int
    algorithm: Algorithm
    progress: float
    begins_stage: bool


def stage_starts(algorithm: Algorithm | Curriculum, steps: int) -> list[int]:
    """Return the first step (from 0) of each stage."""
    shares = [stage.share for stage in algorithm.stages]
    return [round(steps * sum(shares[:index])) for index in range(len(shares))]


def moment(algorithm: Algorithm | Curriculum, step: int, steps: int) -> Moment:
    """Return where step `step` (from 0) of a run of `steps` stands."""
    starts = stage_starts(algorithm, steps)
    index = max(i for i, start in enumerate(starts) if start <= step)
    start, end = [*starts, steps][index : index + 2]
    progress = (step - start) / (end - start)
    return Moment(step, algorithm.stages[index].algorithm, progress, index > 0 and step == start)
