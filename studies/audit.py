"""The command line of the gradient audit: `python -m studies.audit`.

The table is on stdout, all else on stderr. Exit codes: 0 every cell passes, 1 one fails, 2 the command cannot
be carried out as given, 130 interrupted.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:  # --help must not wait for it
    from studies.auditing.launch import Launch

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
OUTPUT = Path("results/audit")
MATRIX_RANKS = (1, 2)


@dataclass(frozen=True)
class Command:
    """Prove that the training engine applies exactly the gradient that the estimator defines.

    A language model that is a table of bigrams is trained for a few steps by the trainer itself, on rows in
    which every previous token occurs once: the change of the weights reveals the coefficient that each token
    was trained with, and these are compared with the estimator's own over the whole step. Then five AdamW
    steps of a small transformer are compared with plain PyTorch. A known fault (micro-batches dropped, a mean
    of means, the wrong clip, ...) is named. No GPU is needed.

    Without options: ZeRO stages x offload x precision x clip, with 1, 2, 4 and ragged numbers of
    micro-batches, on one rank and on two.
    """

    scale: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """Audit the engine of a scale only, on its number of ranks; studies.run --list names scales."""
    engine: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], tyro.conf.arg(metavar="KEY=VALUE ...")
    ] = ()
    """Audit one configuration only: fields of EngineConfig, such as zero_stage=2 offload=True precision=bf16
    gradient_clip=0.5; the others are the scale's, or the defaults. May be repeated."""
    ranks: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Audit on so many ranks only."""
    plant: Annotated[str | None, tyro.conf.arg(metavar="FAULT", help_behavior_hint="")] = None
    """Plant a fault in the engine, to see what red looks like: mean_of_means, dropped_micro_batches,
    no_clip, shifted_mask, ... (an unknown name lists them)."""
    deepspeed: Annotated[str | None, tyro.conf.arg(metavar="VERSION", help_behavior_hint="")] = None
    """Audit another version of DeepSpeed, such as 0.18.9, which drops micro-batches at ZeRO 2 with offload.
    It is installed into a folder of its own (~/.cache/quartet)."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Write table.md and audit.json into a folder; without any option, into results/audit."""

    @property
    def changes(self) -> tuple[str, ...]:
        """The words that `--engine` was given, in order."""
        return tuple(word for group in self.engine for word in group)

    @property
    def folder(self) -> Path | None:
        """Where records go."""
        return OUTPUT if self == Command() else self.output

    def again(self) -> str:
        """Return the command line that says the same."""
        words = ["python", "-m", "studies.audit"]
        for name in ("scale", "ranks", "plant", "deepspeed", "output"):
            value = getattr(self, name)
            words += [] if value is None else [f"--{name}", str(value)]
        return shlex.join([*words, *(["--engine", *self.changes] if self.changes else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = tyro.cli(
        Command, prog="python -m studies.audit", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    from studies.auditing.launch import LaunchError
    from studies.catalog import UsageError

    try:
        return _carry_out(command)
    except (UsageError, LaunchError) as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def _carry_out(command: Command) -> int:
    from studies.auditing.result import merged
    from studies.auditing.table import as_text, versions, write_record
    from studies.catalog import UsageError

    result = merged([launch.run() for launch in _launches(command)])
    sys.stdout.write(f"{as_text(result)}\n")
    sys.stderr.write(f"audited: {versions(result)}\n")
    if command.folder is not None:
        try:
            write_record(result, command.folder, command.again())
        except OSError as error:
            raise UsageError(f"--output {command.folder} can't be written: {error.strerror}") from error
        sys.stderr.write(f"table: {command.folder / 'table.md'}\n")
    return 0 if result.passed else FAILED


def _launches(command: Command) -> list[Launch]:
    """Return what is to be started, one after another."""
    from studies.auditing import other_deepspeed
    from studies.auditing.asked import check_plant, engines_of, ranks_of
    from studies.auditing.launch import Launch

    engines = engines_of(command.scale, command.changes)
    counts = ranks_of(command.scale, command.ranks, MATRIX_RANKS)
    if command.plant is not None:
        engines = check_plant(command.plant, engines)
    changed = {}
    if command.deepspeed is not None:
        changed = other_deepspeed.environment(other_deepspeed.install(command.deepspeed))
    return [Launch(engines, count, command.plant, changed) for count in counts]


if __name__ == "__main__":
    sys.exit(main())
