"""The command line that compares evaluations: `python -m evaluation.compare BASELINE OTHER ...`.

The tables are on stdout, all else on stderr. Exit codes: 0, 2 where the evaluations cannot be compared as
asked, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import tyro

from evaluation.comparing.command import Command
from evaluation.console import answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = tyro.cli(
        Command, prog="python -m evaluation.compare", args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
    )
    # Statistics and drawing are imported once there is something to do: --help must not wait.
    from evaluation.comparing.report import carry_out

    return answer(lambda: carry_out(command))


if __name__ == "__main__":
    sys.exit(main())
