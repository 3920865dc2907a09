"""The command line that explains algorithms: `python -m studies.explain grpo`.

Exit codes: 0, or 2 where the command cannot be carried out as given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from studies.explaining.command import Command, read_command

# torch is imported once a command needs it: --help must not.

REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = read_command(arguments)
    from studies.catalog import UsageError

    try:
        _carry_out(command)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    return 0


def _carry_out(command: Command) -> None:
    import torch

    from studies.catalog import UsageError

    torch.set_num_threads(1)  # more of them only wait for each other: the tensors here are tiny

    if command.docs is not None or command.readme is not None:
        _write(command)
        return
    if not command.algorithm:
        raise UsageError(
            "name an algorithm, or the file and function of your own; studies.run --list shows all"
        )
    from studies.explaining.subject import find_subject

    subject = find_subject(command.algorithm, command.scale, command.changes)
    if command.latex:
        from studies.explaining.latex import table_rows

        sys.stdout.write("\n".join(table_rows(subject.name, subject.build())) + "\n")
        return
    from studies.explaining.facts import explain
    from studies.explaining.text import as_text

    sys.stdout.write(as_text(explain(subject)) + "\n")


def _write(command: Command) -> None:
    from studies.catalog import UsageError
    from studies.explaining.pages import write_pages
    from studies.explaining.table import write_table

    if command.algorithm or command.changes or command.scale != "tiny" or command.latex:
        raise UsageError(
            "--docs and --readme write of all registered algorithms as they are; give them without an "
            "algorithm, --scale, --set and --latex"
        )
    if command.docs is not None:
        for path in write_pages(command.docs):
            sys.stderr.write(f"{path}\n")
    if command.readme is not None:
        write_table(command.readme)


if __name__ == "__main__":
    sys.exit(main())
