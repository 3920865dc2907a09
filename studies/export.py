"""The command line of exports: `python -m studies.export RUN_DIRECTORY TARGET`.

Exit codes: 0 the model was written, 2 the command cannot be carried out as given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from studies.catalog import UsageError

REFUSED = 2


@dataclass(frozen=True)
class Export:
    """Write a run's trained policy as a Hugging Face model directory (safetensors, tokenizer, configuration).

    transformers, vLLM and lm-eval load it: `lm_eval --model hf --model_args pretrained=TARGET ...`.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_DIRECTORY")]
    """A run's folder: results/STUDY/runs/ARM-seedN."""
    target: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="TARGET")]
    """Folder to write, which must not be there yet."""
    step: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Which checkpoint; the newest if left out."""
    precision: Annotated[
        Literal["fp32", "bf16"] | None, tyro.conf.arg(metavar="fp32|bf16", help_behavior_hint="")
    ] = None
    """Type of the written weights; the run's own if left out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code."""
    command = tyro.cli(Export, prog="python -m studies.export", args=arguments)
    try:
        checkpoint = _export(command)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    sys.stderr.write(f"{checkpoint} as {command.target}\n")
    return 0


def _export(command: Export) -> Path:
    from studies.execute import local_path
    from studies.record import read_run_config
    from training.export import export_policy

    if not (command.run / "config.json").is_file():
        raise UsageError(f"{command.run} is no run's folder: it has no config.json")
    run = read_run_config(command.run)
    checkpoint = _checkpoint(command)
    precision = command.precision or run.train.engine.precision
    try:
        export_policy(checkpoint, local_path(run.policy), run.policy_config, precision, command.target)
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    return checkpoint


def _checkpoint(command: Export) -> Path:
    from training.checkpoint import complete_checkpoints, damage

    found = complete_checkpoints(command.run / "checkpoints")
    if not found:
        raise UsageError(
            f"{command.run} has no checkpoint: it trains nothing, or has not come to its first yet"
        )
    step = command.step if command.step is not None else max(found)
    if step not in found:
        has = ", ".join(map(str, found))
        raise UsageError(f"{command.run} has no checkpoint of step {step}; it has: {has}")
    if (wrong := damage(found[step])) is not None:
        raise UsageError(f"{found[step]} is damaged ({wrong}); name another with --step")
    return found[step]


if __name__ == "__main__":
    sys.exit(main())
