"""What would be run, what of it is there, and what the rest takes: `studies.run --dry-run`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from studies.catalog import UsageError
from studies.configuring.resolve import Resolved
from studies.costs.foretold import foretell
from studies.costs.text import cost_lines
from studies.directories import run_directory, run_state
from studies.record import RunConfig

WIDTH = 100


def plan(resolved: Resolved, folder: Path, workers: int = 1) -> str:
    """Return what a study consists of, what is there of it, and what is left to do."""
    states = [run_state(run_directory(folder, run.arm, run.seed)) for run in resolved.runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    lines = [
        f"{resolved.study.title}",
        f"scale {', '.join(resolved.scales)}, results in {folder}",
        f"seeds {', '.join(map(str, resolved.seeds))}; {len(resolved.runs)} runs: {counts}",
        "",
    ]
    first = [run for run in resolved.runs if run.seed == resolved.seeds[0]]
    for run in first:
        by_seed = [f"{seed} {run_state(run_directory(folder, run.arm, seed))}" for seed in resolved.seeds]
        lines.append(f"  {run.arm}: {_trained(run)}; seeds: {', '.join(by_seed)}")
    lines += ["", *_protocols(first), "", *_costs(resolved, folder, workers)]
    return "\n".join(lines)


def _trained(run: RunConfig) -> str:
    if run.algorithm is None:
        return "not trained"
    train = run.train
    budget = "".join(f", at most {limit:g} {name}" for name, limit in train.budget.limits.items())
    asked = f"{train.questions_per_step} questions x {train.rollout.samples} rollouts"
    return f"{train.steps} steps of {asked}{budget}".replace("_", " ")


def _protocols(runs: list[RunConfig]) -> Iterator[str]:
    told: dict[str, list[str]] = {}
    for run in runs:
        evaluation = run.evaluation
        samples = " or ".join(str(k) for k in sorted({*map(evaluation.samples_of, evaluation.suites)}))
        told.setdefault(f"{', '.join(evaluation.suites)}; {samples} samples a question", []).append(run.arm)
    for protocol, arms in told.items():
        whose = "" if len(told) == 1 else f"{', '.join(arms)}: "
        yield f"{whose}evaluated on {protocol}"


def _costs(resolved: Resolved, folder: Path, workers: int) -> Iterator[str]:
    try:
        lines = list(cost_lines(foretell(resolved, folder), workers))
    except UsageError as error:
        yield f"tokens and time cannot be told: {error}"
        return
    for line in lines:
        table = line.startswith("  ") or not line
        yield from [line] if table else textwrap.wrap(line, WIDTH, break_on_hyphens=False)
