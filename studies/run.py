"""The command line of studies: `python -m studies.run ablation_gate`.

The table is on stdout, all else on stderr. Exit codes: 0 all runs finished, 1 some failed, 2 the command
cannot be carried out as given, 130 interrupted.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from studies.command import Command, read_command

if TYPE_CHECKING:
    from pathlib import Path

    from studies.configuring.resolve import Resolved
    from studies.record import RunConfig
    from studies.running.driver import Outcome

# Imports of torch, optuna and pandas wait until a command needs them: --help must not.

EXECUTE = "studies.execute:execute"
FAILED, REFUSED, INTERRUPTED = 1, 2, 130


def main(
    arguments: Sequence[str] | None = None,
    execute: str = EXECUTE,
    check: Callable[[Sequence[RunConfig]], None] | None = None,
) -> int:
    """Carry out a command line and return its exit code.

    Args:
        arguments: Command line; the process's own if None.
        execute: "module:function" that carries out a run.
        check: Checks the data of all runs before the first; `resolve.check_inputs` if None.
    """
    command = read_command(arguments)
    from studies.catalog import UsageError

    try:
        if command.list:
            from studies.listing import listing

            print(listing())
            return 0
        return _carry_out(command, execute, check)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _carry_out(command: Command, execute: str, check: Callable[[Sequence[RunConfig]], None] | None) -> int:
    resolved = _resolve(command)
    from studies.configuring.identity import check_identity, write_description
    from studies.configuring.resolve import check_inputs
    from studies.directories import folder_lock

    folder = command.results / resolved.study.name
    check_identity(resolved, folder)
    if command.dry_run:
        from studies.listing import plan

        print(plan(resolved, folder))
    (check or check_inputs)(resolved.runs)
    if command.dry_run:
        return 0
    with folder_lock(folder):
        check_identity(resolved, folder)  # again: another process may have made it since
        write_description(resolved, folder)
        outcome = _drive(command, resolved, folder, execute)
        if outcome.stopped_by is None:
            _report(command, folder)
    return _conclude(command, resolved, folder, outcome)


def _resolve(command: Command) -> Resolved:
    from studies.catalog import STUDIES, UsageError, find_scale, find_study, is_file_name, known

    if not command.study:
        raise UsageError("name a study, or the path of a file that defines one; --list shows all")
    if not is_file_name(command.study):
        known("study", command.study, STUDIES)
    for name, value in (("workers", command.workers), ("seeds", command.seeds)):
        if value is not None and value < 1:
            raise UsageError(f"--{name}={value} must be at least 1")
    scale = find_scale(command.scale)
    print(f"{command.study} at scale {command.scale} ...", file=sys.stderr, flush=True)
    from studies.configuring.changes import read_changes
    from studies.configuring.resolve import resolve

    study = find_study(command.study)
    seeds = study.seeds if command.seeds is None else tuple(range(command.seeds))
    return resolve(study, scale, seeds, read_changes(study, command.changes))


def _drive(command: Command, resolved: Resolved, folder: Path, execute: str) -> Outcome:
    from studies.running.driver import Driver
    from studies.running.live import make_progress

    return Driver(resolved, folder, command.workers, execute, make_progress(sys.stderr)).drive()


def _report(command: Command, folder: Path) -> None:
    from studies.reporting.report import reproduce_command, write_report

    reproduce = reproduce_command(command.study, command.scale, folder, command.changes)
    print(write_report(folder, reproduce), flush=True)


def _conclude(command: Command, resolved: Resolved, folder: Path, outcome: Outcome) -> int:
    if outcome.stopped_by is not None:
        from studies.running.driver import runs_by_state

        done = len(runs_by_state(resolved, folder).get("finished", []))
        print(
            f"interrupted: {done} of {len(resolved.runs)} runs are finished; the same command goes on from "
            f"here:\n  {command.again()}",
            file=sys.stderr,
        )
        return INTERRUPTED if outcome.stopped_by == signal.SIGINT else 128 + outcome.stopped_by
    for cell, reason in outcome.failed.items():
        print(f"failed: {cell.arm}, seed {cell.seed}: {reason}", file=sys.stderr)
    if outcome.failed:
        print(f"the same command tries failed runs again:\n  {command.again()}", file=sys.stderr)
    print(f"results: {folder}", file=sys.stderr)
    return FAILED if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
