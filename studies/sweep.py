"""The command line of sweeps: `python -m studies.sweep sweep_gate_mix`.

The table is on stdout, all else on stderr. Exit codes: 0 all trials came to an end, 1 one failed, 2 the
command cannot be carried out as given, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from studies.sweeping.command import Command, read_command

if TYPE_CHECKING:
    from studies.record import RunConfig
    from studies.sweeping.address import Address

# Imports of torch, optuna and pandas wait until a command needs them: --help must not.

EXECUTE = "studies.execute:execute"
FAILED, REFUSED, INTERRUPTED = 1, 2, 130
_VARIABLE = "SWEEP_STORAGE"

Check = Callable[[Sequence["RunConfig"]], None]


def main(arguments: Sequence[str] | None = None, execute: str = EXECUTE, check: Check | None = None) -> int:
    """Carry out a command line and return its exit code.

    Args:
        arguments: Command line; the process's own if None.
        execute: "module:function" that carries out a run.
        check: Checks the data of a trial's runs before the first; `resolve.check_inputs` if None.
    """
    command = read_command(arguments)
    from studies.catalog import UsageError

    address: Address | None = None
    try:
        if command.storage:
            from studies.sweeping.address import read_address

            address = read_address(command.storage)
        return _carry_out(command, address, execute, check)
    except UsageError as error:
        _say(f"error: {error}")
        return REFUSED
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except Exception:
        if address is None:
            raise
        # As Python would tell it, but for the password.
        _say(address.masked(traceback.format_exc()))
        return FAILED


def _carry_out(command: Command, address: Address | None, execute: str, check: Check | None) -> int:
    from studies.sweeping.export import report_again
    from studies.sweeping.session import read_session
    from studies.sweeping.working import Work, report

    if command.from_records is not None:
        sys.stdout.write(report_again(command.from_records) + "\n")
        return 0
    session = read_session(command)
    if command.dry_run:
        sys.stdout.write(session.plan() + "\n")
    session.check(check)
    if command.dry_run:
        return 0
    trials, stopped_by = Work(session, address, execute, _say).carry_out()
    if stopped_by is not None:
        again = command.again(address.said if address else "")
        _say(f"interrupted; the same command goes on from here:\n  {again}")
        return INTERRUPTED if stopped_by == signal.SIGINT else 128 + stopped_by
    sys.stdout.write(report(session, trials) + "\n")
    _say(f"results: {session.folder}")
    return FAILED if any(trial.state == "failed" for trial in trials) else 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def hide_password() -> None:
    """Start this process again without a password in its arguments, where all users of a machine see it."""
    words = list(sys.orig_argv)
    for place, word in enumerate(words):
        flag, equals, url = word.rpartition("=") if word.startswith("--storage=") else ("", "", word)
        if "://" in url and "@" in url and (equals or words[place - 1] == "--storage"):
            words[place] = f"{flag}{equals}env:{_VARIABLE}"
            os.execve(sys.executable, [sys.executable, *words[1:]], {**os.environ, _VARIABLE: url})


if __name__ == "__main__":
    hide_password()
    sys.exit(main())
