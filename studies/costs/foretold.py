"""What each arm of a study takes, and from what that is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from studies.configuring.resolve import Resolved
from studies.costs.measured import Speed, elsewhere, measure_all
from studies.costs.planned import Planned, estimated_seconds, flops, longest, plan_run
from studies.directories import read_status, run_directory, run_state
from studies.planning.work import Lengths, Work
from studies.record import RunConfig

ESTIMATED = "estimated for a GPU of 312 TFLOP/s, not measured"


class _Pace(NamedTuple):
    """Seconds of a step and of an answer, and from what they are known."""

    step: float
    answer: float
    source: str


@dataclass(frozen=True)
class ArmCost:
    """What one run of an arm takes from beginning to end.

    Args:
        run: The run, with the first seed.
        planned: Its work.
        lengths: That the work was planned with.
        measured_lengths: Whether responses' mean length was measured.
        pace: Seconds of a step, of an answer, and their source.
    """

    run: RunConfig
    planned: Planned
    lengths: Lengths
    measured_lengths: bool
    pace: _Pace

    @property
    def seconds(self) -> float:
        """Seconds of the run."""
        return self.planned.steps * self.pace.step + self.planned.answers * self.pace.answer


class RunCost(NamedTuple):
    """What is left of a run."""

    run: RunConfig
    state: str
    work: Work
    seconds: float


@dataclass(frozen=True)
class StudyCost:
    """What a study takes.

    Args:
        arms: One run of each.
        runs: All of them, in the order in which one worker starts them.
    """

    arms: tuple[ArmCost, ...]
    runs: tuple[RunCost, ...]

    def of(self, arm: str) -> ArmCost:
        """Return an arm's."""
        return next(each for each in self.arms if each.run.arm == arm)


def foretell(resolved: Resolved, folder: Path) -> StudyCost:
    """Return what a study takes, and what is left of it.

    Raises:
        UsageError: A policy or a suite cannot be read.
    """
    first = [run for run in resolved.runs if run.seed == resolved.seeds[0]]
    own = measure_all(run_directory(folder, run.arm, run.seed) for run in resolved.runs)
    others: dict[str, list[Speed]] = {}
    for scale in {run.scale for run in first}:
        here = [speed for speed in own if speed.run.scale == scale]
        if not any(speed.steps for speed in here) or not any(speed.answers for speed in here):
            others[scale] = elsewhere(folder.parent, folder, scale)
    arms = tuple(_arm(run, own, others.get(run.scale, [])) for run in first)
    study = StudyCost(arms, ())
    return StudyCost(arms, tuple(_left(run, folder, study.of(run.arm)) for run in resolved.runs))


def _arm(run: RunConfig, own: Sequence[Speed], others: Sequence[Speed]) -> ArmCost:
    mine = [speed for speed in own if speed.run.arm == run.arm]
    beside = [speed for speed in own if speed.run.scale == run.scale]
    told = [speed.response_tokens for speed in mine or beside if speed.response_tokens]
    most = longest(run)
    lengths = Lengths(most.prompt, sum(told) / len(told)) if told else most
    pace = _pace(
        run, [(mine, "this arm's runs here"), (beside, "other arms here"), (others, "other studies")]
    )
    planned = plan_run(run, lengths, pace.step)
    return ArmCost(run, planned, lengths, bool(told), pace)


def _pace(run: RunConfig, tiers: Sequence[tuple[Sequence[Speed], str]]) -> _Pace:
    """Return the seconds of a step and of an answer from the first tier that tells, else by closed forms."""
    planned = plan_run(run, longest(run))
    guess = estimated_seconds(run, planned, longest(run))
    answer, answer_source = _first(tiers, _answer_seconds)
    step, source = 0.0, answer_source
    if run.algorithm is not None:
        (own, name), *rest = tiers
        step, source = _first([(own, name)], _step_seconds)
        if source is None:
            scaled = [(speeds, f"{name}, by planned FLOPs") for speeds, name in rest]
            step, source = _first(scaled, lambda speeds: _scaled(speeds, flops(planned.step)))
        if source is None:
            step, source = guess[0], ESTIMATED
        elif answer_source is None:
            # Evaluation samples as training does; nothing nearer was measured.
            answer = step * flops(planned.evaluation) / max(planned.answers, 1) / flops(planned.step)
    if answer_source is None and source in (None, ESTIMATED):
        answer = guess[1]
    return _Pace(step, answer, source or ESTIMATED)


def _first(
    tiers: Sequence[tuple[Sequence[Speed], str]], seconds: Callable[[Sequence[Speed]], float | None]
) -> tuple[float, str | None]:
    for speeds, name in tiers:
        found = seconds(speeds)
        if found is not None:
            return found, f"measured: {name}"
    return 0.0, None


def _answer_seconds(speeds: Sequence[Speed]) -> float | None:
    answers = sum(speed.answers for speed in speeds)
    return sum(speed.answer_seconds for speed in speeds) / answers if answers else None


def _step_seconds(speeds: Sequence[Speed]) -> float | None:
    steps = sum(speed.steps for speed in speeds)
    return sum(speed.seconds for speed in speeds) / steps if steps else None


def _scaled(speeds: Sequence[Speed], wanted: float) -> float | None:
    """Return the seconds of a step of so many FLOPs at the pace of other runs, planned alike."""
    timed = [speed for speed in speeds if speed.steps]
    done = sum(speed.steps * flops(plan_run(speed.run, longest(speed.run)).step) for speed in timed)
    return sum(speed.seconds for speed in timed) * wanted / done if done else None


def _left(run: RunConfig, folder: Path, cost: ArmCost) -> RunCost:
    """Return what is left of a run; what was done after its last checkpoint is done again."""
    directory = run_directory(folder, run.arm, run.seed)
    state, planned = run_state(directory), cost.planned
    if state == "finished":
        return RunCost(run, state, Work(), 0.0)
    status = read_status(directory)
    done = 0 if status is None else status.step
    if status is None or status.phase == "train":
        done -= done % run.train.checkpoint_every
    steps = max(planned.steps - done, 0)
    seconds = steps * cost.pace.step + planned.answers * cost.pace.answer
    return RunCost(run, state, planned.step.scaled(steps) + planned.evaluation, seconds)
