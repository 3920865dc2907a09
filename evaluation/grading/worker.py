"""Grade in a process that may be killed at any moment.

Run as a module: a supervisor imports the engine once (a module with `grade` and `warm_up`) and forks a child
that does the grading. The child's alarm has its default action, so the kernel ends a grade that is out of
time even inside a big-integer operation; the supervisor reports that and forks the next child in
milliseconds. One request line in, one reply line out, never two requests in flight.
"""

import contextlib
import importlib
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from evaluation.grading.outcomes import Verdict

# Exit status of a child whose memory ran out: its state is doubtful, the next one takes over.
RETIRED = 3
OUT_OF_MEMORY = Verdict("error", None, "memory")
Grade = Callable[[dict[str, Any], dict[str, Any]], Verdict]


def serve(grade: Grade, settings: dict[str, Any], reply: int) -> int:
    """Answer requests from standard input until it ends; return the exit status."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    memory = settings["memory_limit"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with open(0, "rb", closefd=False) as requests:
        for line in requests:
            request = json.loads(line)
            signal.setitimer(signal.ITIMER_REAL, settings["time_limit"])
            try:
                verdict = grade(request, settings)
            except MemoryError:
                verdict = OUT_OF_MEMORY
            except Exception as error:  # noqa: BLE001  a comparison may fail in any way; it is reported
                verdict = Verdict("error", None, type(error).__name__)
            # Libraries take most of their own MemoryErrors for a mismatch; the peak betrays them.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            if verdict.outcome != "correct" and peak > memory / 2:
                verdict = OUT_OF_MEMORY
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(reply, verdict)
            if verdict == OUT_OF_MEMORY:
                return RETIRED
    return 0


def send(reply: int, verdict: Verdict) -> None:
    """Write one reply; it is shorter than a pipe's atomic write, so it is never seen in part."""
    os.write(reply, json.dumps(verdict).encode() + b"\n")


def supervise(grade: Grade, settings: dict[str, Any], reply: int) -> None:
    """Keep one serving child until it ends for any reason but its limits."""
    while True:
        child = os.fork()
        if child == 0:
            os._exit(serve(grade, settings, reply))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == -signal.SIGALRM:
            send(reply, Verdict("timeout", None, "time_limit"))
        elif status != RETIRED:
            return


def follow(parent: int) -> None:
    """End with the process that started this one, even if a fork of it still holds our pipe."""

    def check(*_: object) -> None:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)


def main() -> None:
    """Take the engine and its settings from the command line, warm it up and serve."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow(settings["parent"])
    reply = os.dup(1)
    os.dup2(2, 1)
    logging.disable()
    engine = importlib.import_module(settings["engine"])
    with contextlib.suppress(Exception):
        engine.warm_up(settings)
    send(reply, Verdict("correct", None, "ready"))
    with contextlib.suppress(BrokenPipeError):
        supervise(engine.grade, settings, reply)


if __name__ == "__main__":
    main()
