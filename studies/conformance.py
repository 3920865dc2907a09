"""The command line of conformance: `python -m studies.conformance FILE ...`.

The table is on stdout, all else on stderr. Exit codes: 0 every case passes or is left out on purpose, 1 one
does not match or can't be expressed, 2 the command cannot be carried out as given, 130 interrupted.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

# Imports of torch wait until a command needs them: --help must not.

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


@dataclass(frozen=True)
class Command:
    """Recompute golden cases of other libraries with this one's parts, and show how close they come.

    A case holds inputs and options of a loss, and the advantages, loss and gradient that its library made of
    them. Each is reproduced by a composition of parts; options that none stands for are named, never passed
    over. The exit code is 1 if any case does not match or can't be expressed. Cases tagged `extended` may be
    out of scope, with the reason; that is no failure.
    """

    files: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")
    ]
    """JSON files of cases: an object with a list `cases`,
    and a field `options` that says whose options they use (trl, verl or reference)."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Write the table as table.md and table.csv into a folder, such as results/conformance."""

    def again(self) -> str:
        """Return the command line that says the same."""
        words = ["python", "-m", "studies.conformance", *map(str, self.files)]
        if self.output is not None:
            words += ["--output", str(self.output)]
        return shlex.join(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = tyro.cli(Command, prog="python -m studies.conformance", args=arguments)
    if not command.files:
        return _refuse("name at least one file of golden cases; --help says what it holds")
    from studies.conforming.cases import BadFile

    try:
        return _carry_out(command)
    except BadFile as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def _refuse(reason: str) -> int:
    sys.stderr.write(f"error: {reason}\n")
    return REFUSED


def _carry_out(command: Command) -> int:
    import torch

    from studies.conforming.files import run_files
    from studies.conforming.runner import FAILING
    from studies.conforming.table import as_text, write_tables

    torch.set_num_threads(1)  # the tensors are tiny
    results = run_files(command.files)
    sys.stdout.write(f"{as_text(results)}\n")
    if command.output is not None:
        try:
            write_tables(results, command.output, command.again())
        except OSError as error:
            return _refuse(f"--output {command.output} can't be written: {error.strerror}")
        sys.stderr.write(f"table: {command.output / 'table.md'}\n")
    return FAILED if any(result.verdict in FAILING for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
