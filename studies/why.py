"""What stands behind a number: `python -m studies.why results/main_table hpt math500`.

The answer is on stdout. Exit codes: 0 all runs behind the number are finished and as they were left, 1 some
are not, 2 the command cannot be carried out as given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from studies.tracing.command import Command, read_command

# Imports of pandas and torch wait until a command needs them: --help must not.

INCOMPLETE, REFUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = read_command(arguments)
    from studies.catalog import UsageError

    try:
        return _carry_out(command)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED


def _carry_out(command: Command) -> int:
    from studies.tracing.text import as_text
    from studies.tracing.trace import trace

    found = trace(command.folder, command.arm, command.suite)
    text = json.dumps(found, indent=1, ensure_ascii=False) if command.json else as_text(found)
    sys.stdout.write(f"{text}\n")
    return 0 if found["complete"] else INCOMPLETE


if __name__ == "__main__":
    sys.exit(main())
