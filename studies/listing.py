"""What there is, and what would be run, as text."""

from __future__ import annotations

import inspect
from pathlib import Path

from algorithms import ALGORITHMS
from core.protocols import KINDS
from studies.catalog import SCALES, STUDIES, find_scale, find_study
from studies.configuring.kinds import parts_of_kind
from studies.configuring.places import places, whole
from studies.configuring.resolve import Resolved
from studies.directories import run_directory, run_state


def listing() -> str:
    """Return all studies, scales and algorithms."""
    lines = ["Studies"]
    for name in STUDIES:
        study = find_study(name)
        lines.append(f"  {name:20} {study.title}: {len(study.arms)} arms x {len(study.seeds)} seeds")
    lines += ["", "Scales"]
    for name in SCALES:
        scale = find_scale(name)
        lines.append(f"  {name:20} {scale.policy}, {scale.train.steps} steps")
    lines += ["", "Algorithms, with the arguments that --set takes, and what holds the parts that it swaps"]
    for name, function in ALGORITHMS.items():
        arguments = ", ".join(
            f"{parameter.name}={parameter.default}"
            for parameter in inspect.signature(function).parameters.values()
        )
        held = ", ".join(place.name for place in places(whole(function())))
        lines.append(f"  {name:20} {arguments}{'; ' if arguments else ''}{held}")
    lines += [
        "",
        "Parts, by their kinds: --set 'hpt.reinforce.mask=ClipMask(0.2)', 'hpt.reinforce.mask.low=0.3'",
    ]
    for kind in KINDS:
        lines.append(f"  {kind.__name__:20} {', '.join(parts_of_kind(kind))}")
    return "\n".join(lines)


def plan(resolved: Resolved, folder: Path) -> str:
    """Return what a study consists of and what is there of it."""
    states = [run_state(run_directory(folder, run.arm, run.seed)) for run in resolved.runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states)))
    lines = [
        f"{resolved.study.title}",
        f"scale {resolved.scale}, results in {folder}",
        f"seeds {', '.join(map(str, resolved.seeds))}; {len(resolved.runs)} runs: {counts}",
        "",
    ]
    for run in resolved.runs[: len(resolved.study.arms)]:
        train = run.train
        trained = (
            f"{train.steps} steps of {train.questions_per_step} questions x {train.rollout.samples} rollouts"
            if run.algorithm
            else "not trained"
        )
        by_seed = [f"{seed} {run_state(run_directory(folder, run.arm, seed))}" for seed in resolved.seeds]
        lines.append(f"  {run.arm}: {trained}; seeds: {', '.join(by_seed)}")
    evaluation = resolved.runs[0].evaluation
    lines += ["", f"evaluated on {', '.join(evaluation.suites)}; {evaluation.samples} samples a question"]
    return "\n".join(lines)
