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

    from studies.configuring.requested import Requested
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
    asked = _request(command)
    from studies.configuring.identity import check_identity, write_description
    from studies.configuring.resolve import check_inputs
    from studies.directories import folder_lock
    from studies.mirroring.background import mirrored
    from studies.running.launching import first_rank

    if command.from_records is not None:
        _report(command, asked, command.from_records)
        return 0
    resolved = asked.resolved
    folder = command.results / resolved.study.name
    if not first_rank():
        _work_together(command, resolved, folder, execute)
        return 0
    check_identity(resolved, folder)
    if command.dry_run:
        from studies.costs.plan import plan

        print(plan(resolved, folder, command.workers))
    (check or check_inputs)(resolved.runs)
    if command.dry_run:
        return 0
    with folder_lock(folder):
        check_identity(resolved, folder)  # again: another process may have made it since
        write_description(resolved, folder)
        with mirrored(folder, command.mirror):
            outcome = _outcome(command, resolved, folder, execute)
        if outcome.stopped_by is None:
            _report(command, asked, folder)
    return _conclude(command, resolved, folder, outcome)


def _outcome(command: Command, resolved: Resolved, folder: Path, execute: str) -> Outcome:
    """Audit the study's engine and carry out what is missing of the study."""
    from studies.auditing.of_study import audit_study, launch_audit
    from studies.running.launching import launched, share_devices

    if launched():
        from studies.running.in_place import outcome_of

        _work_together(command, resolved, folder, execute)
        return outcome_of(resolved, folder)
    # Too few GPUs are refused before anything is started on them.
    share_devices(command.workers, max(run.ranks for run in resolved.runs))
    if execute == EXECUTE:
        audit_study(resolved.runs, folder, command.despite_audit, launch_audit)
    return _drive(command, resolved, folder, execute)


def _work_together(command: Command, resolved: Resolved, folder: Path, execute: str) -> None:
    """Have the ranks that a launcher started carry out what is missing of the study; all call this."""
    from studies.running.in_place import audit_together, carry_out_all

    if execute == EXECUTE:
        audit_together(resolved, folder, command.despite_audit)
    carry_out_all(resolved, folder, execute)


def _request(command: Command) -> Requested:
    from studies.catalog import UsageError
    from studies.configuring.requested import request
    from studies.running.launching import first_rank, launched

    if command.workers < 1:
        raise UsageError(f"--workers={command.workers} must be at least 1")
    if launched() and (command.dry_run or command.workers > 1):
        raise UsageError(
            "under a launcher all ranks work on one run after another; leave out --workers and --dry-run"
        )
    if command.study and first_rank():
        where = f" at scale {', '.join(command.scale)}" if command.scale else ""
        print(f"{command.study}{where} ...", file=sys.stderr, flush=True)
    return request(command.study, command.scale, command.seeds, command.changes)


def _drive(command: Command, resolved: Resolved, folder: Path, execute: str) -> Outcome:
    from studies.running.driver import Driver
    from studies.running.live import make_progress

    return Driver(resolved, folder, command.workers, execute, make_progress(sys.stderr)).drive()


def _report(command: Command, asked: Requested, runs: Path) -> None:
    """Write tables and figures of the runs in a study's folder into the folder of what is reported."""
    from studies.reporting.report import reproduce_command, write_report

    scales = command.scale or asked.resolved.scales
    reproduce = reproduce_command(command.study, scales, runs, command.changes)
    print(write_report(runs, command.results / asked.study.name, asked.view, reproduce), flush=True)


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
