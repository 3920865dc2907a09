"""The command line of evaluation: `python -m evaluation.run --model DIR_OR_HUB --suite paper`.

The table of scores is on stdout, all else on stderr. Exit codes: 0, 2 where the command cannot be carried
out as given, 130 interrupted; the same command then goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evaluation.console import answer
from evaluation.run_command import read_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = read_command(arguments)
    # torch and transformers are imported once there is something to do: --help must not wait.
    from evaluation.run_model import carry_out

    return answer(lambda: carry_out(command), "; the same command goes on")


if __name__ == "__main__":
    sys.exit(main())
