"""A worker of a study: `python -m studies.running.worker EXECUTE PARENT`, started by the driver.

It takes runs from its standard input, one JSON object a line, carries each out in this process and answers
with a line. Everything else that is written to its outputs goes to its log.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from studies.record import RunConfig, from_json

Execute = Callable[[RunConfig, Path], None]

PR_SET_PDEATHSIG = 1
PARENT_WATCH_SECONDS = 1.0


def main() -> None:
    """Serve until there are no more runs, or the parent is gone."""
    execute, parent = sys.argv[1], int(sys.argv[2])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    end_with(parent)
    jobs, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    # Nothing that a run starts may read our jobs, and nothing it prints may pass for a reply.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for line in jobs:
        job = json.loads(line)
        reason = carry_out(execute, job)
        replies.write(json.dumps({"reason": reason}) + "\n")


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


def end_with(parent: int) -> None:
    """Have this process end when its parent does, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _end_if_orphaned(parent)  # it may have died before it could be told of
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while True:
        time.sleep(PARENT_WATCH_SECONDS)
        _end_if_orphaned(parent)


def _end_if_orphaned(parent: int) -> None:
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
