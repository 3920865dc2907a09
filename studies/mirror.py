"""Mirrors of a study's runs in trackers: `python -m studies.mirror results/main_table --to tensorboard`.

What was done is on stderr. Exit codes: 0 all runs that there are were mirrored, 1 some could not be read,
2 the command cannot be carried out as given, 130 interrupted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.mirroring.command import Command, read_command

if TYPE_CHECKING:
    from studies.mirroring.mirror import Mirror, Passed

# torch and the trackers are imported once a command needs them: --help must not.

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line, the process's own if None, and return its exit code."""
    command = read_command(arguments)
    from studies.catalog import UsageError

    try:
        return _carry_out(command)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from here\n")
        return INTERRUPTED


def _carry_out(command: Command) -> int:
    from studies.catalog import UsageError
    from studies.mirroring.background import POLL_SECONDS, TARGETS, make_mirrors
    from studies.mirroring.mirror import wanted_runs
    from studies.mirroring.weights_and_biases import Account

    if not command.to:
        raise UsageError(f"name a mirror with --to; known: {', '.join(TARGETS)}")
    wanted_runs(command.folder)  # a wrong folder is told before a tracker is loaded
    account = Account(command.project, command.entity, command.group, command.offline)
    mirrors = make_mirrors(command.folder, command.to, account)
    try:
        passes = _take(mirrors)
        while command.follow and not all(passed.ended or passed.problems for passed in passes):
            time.sleep(POLL_SECONDS)
            passes = _take(mirrors)
    finally:
        for mirror in mirrors:
            mirror.close()
    problems = dict.fromkeys(problem for passed in passes for problem in passed.problems)
    for problem in problems:
        sys.stderr.write(f"not mirrored: {problem}\n")
    return FAILED if problems else 0


def _take(mirrors: Sequence[Mirror]) -> list[Passed]:
    passes = [mirror.take() for mirror in mirrors]
    written = sum(passed.written for passed in passes)
    if written:
        sys.stderr.write(f"{written} new points\n")
    return passes


if __name__ == "__main__":
    sys.exit(main())
