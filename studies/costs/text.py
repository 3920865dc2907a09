"""What a study takes, as text."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from studies.costs.foretold import ESTIMATED, ArmCost, StudyCost
from studies.costs.planned import flops
from studies.planning.work import Work
from studies.running.progress import duration

_UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
HEAD = ("one run of", "generated", "trained", "evaluated", "FLOPs", "time", "steps and seconds from")


def amount(number: float) -> str:
    """Return a large number with three digits and a unit."""
    for size, unit in _UNITS:
        if number >= 0.9995 * size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Return when the last of some runs ends, each taken by the first worker that is free, in their order."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def cost_lines(cost: StudyCost, workers: int) -> Iterator[str]:
    """Return the lines about tokens, FLOPs and time."""
    rows = [HEAD, *(_row(arm) for arm in cost.arms)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        name, *numbers, source = row
        told = "  ".join(f"{number:>{width}}" for number, width in zip(numbers, widths[1:-1], strict=True))
        yield f"  {name:{widths[0]}}  {told}  {source}"
    yield ""
    yield from _totals(cost, workers)
    yield from _explained(cost)


def _row(arm: ArmCost) -> tuple[str, ...]:
    whole = arm.planned.whole
    return (arm.run.arm, *_amounts(whole), _time(arm.seconds), arm.pace.source)


def _time(seconds: float) -> str:
    return "< 0:01" if 0 < seconds < 0.5 else duration(seconds)


def _amounts(work: Work) -> tuple[str, ...]:
    return amount(work.sampled), amount(work.trained), amount(work.evaluated), amount(flops(work))


def _totals(cost: StudyCost, workers: int) -> Iterator[str]:
    whole = [cost.of(each.run.arm) for each in cost.runs]
    yield _total("all runs", [arm.planned.whole for arm in whole], [arm.seconds for arm in whole], workers)
    left = [each for each in cost.runs if each.state != "finished"]
    yield _total("still to do", [each.work for each in left], [each.seconds for each in left], workers)


def _total(name: str, works: Sequence[Work], seconds: Sequence[float], workers: int) -> str:
    generated, trained, evaluated, operations = _amounts(sum(works, Work()))
    several = (
        f" with {workers} workers (of {duration(sum(seconds))} one after another)" if workers > 1 else ""
    )
    return (
        f"{name}: {len(works)} runs, tokens generated {generated}, trained {trained}, evaluated {evaluated}, "
        f"FLOPs {operations}, time {_time(makespan(seconds, workers))}{several}"
    )


def _explained(cost: StudyCost) -> Iterator[str]:
    measured = [arm for arm in cost.arms if arm.measured_lengths]
    if len(measured) < len(cost.arms):
        most = max(arm.lengths.response for arm in cost.arms if not arm.measured_lengths)
        yield f"Responses are counted with {most:,.0f} tokens, the longest; real ones are shorter."
    if measured:
        yield "Responses are counted with the mean length that records tell, where there are some."
    yield (
        "Every row of every term is counted as trained on: gates make it less. Left out of the time: start "
        "of processes, loading, checkpoints, and what workers on one machine take from each other."
    )
    if any(arm.pace.source == ESTIMATED for arm in cost.arms):
        yield (
            "An estimate knows operations and memory traffic alone. What a step takes however small the "
            "model is (on a small one nearly all of it) is in measured times only."
        )
    if any(arm.planned.steps < arm.run.train.steps for arm in cost.arms if arm.run.algorithm):
        yield "A budget ends runs before their last step; how many they take is estimated, too."
