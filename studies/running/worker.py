"""A worker of a study: `python -m studies.running.worker EXECUTE DRIVER`, started by the driver.

It takes runs from its standard input, one JSON object a line, carries each out in this process and answers
with a line. Everything else that is written to its outputs goes to its log. Runs of several ranks are carried
out by as many of these processes, started by a launcher.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from studies.directories import keep_reason
from studies.record import RunConfig, from_json
from studies.running.launching import launched
from studies.running.orphans import end_with

Execute = Callable[[RunConfig, Path], None]


def main() -> None:
    """Serve until there are no more runs, or the parent is gone."""
    execute, driver = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    end_with(driver)
    jobs, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    # Nothing that a run starts may read our jobs, and nothing it prints may pass for a reply.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if launched():
        _serve_together(execute, jobs, replies)
        return
    for line in jobs:
        reason = carry_out(execute, json.loads(line))
        replies.write(json.dumps({"reason": reason}) + "\n")


def _serve_together(execute: str, jobs: TextIO, replies: TextIO) -> None:
    """Carry runs out on all ranks at once; the first of them takes the jobs and answers.

    A rank whose run failed ends, and its launcher ends the others with it: they wait for what it will never
    send. The reason is in the run's status.
    """
    from training.ranks import join_ranks

    if os.environ["RANK"] == "0":
        threading.Thread(target=_end_launcher_with, args=(jobs, os.getppid()), daemon=True).start()
    ranks = join_ranks()
    while line := ranks.from_first(jobs.readline() if ranks.first else None):
        job = json.loads(line)
        if (reason := carry_out(execute, job)) is not None:
            keep_reason(Path(job["directory"]), reason)
            os._exit(1)
        ranks.wait()
        if ranks.first:
            replies.write(json.dumps({"reason": None}) + "\n")


def _end_launcher_with(jobs: TextIO, launcher: int) -> None:
    """End the launcher, and thereby all ranks, when the driver is gone, which holds the jobs' other end."""
    hung_up = select.poll()
    hung_up.register(jobs, 0)
    hung_up.poll()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(launcher, signal.SIGKILL)


def carry_out(execute: str, job: dict[str, str]) -> str | None:
    """Carry one run out; return why it failed, or None."""
    directory = Path(job["directory"])
    try:
        run = from_json(json.loads(job["run"]))
        directory.mkdir(parents=True, exist_ok=True)
        load(execute)(run, directory)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a run's failure must not end the study
        traceback.print_exc()
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return None


def load(execute: str) -> Execute:
    """Return the function named "module:function"."""
    module, _, function = execute.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
