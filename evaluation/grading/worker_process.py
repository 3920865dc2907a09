"""The calling side of a grading worker: start it, ask it, replace it when it dies."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from evaluation.grading.outcomes import Verdict

ROOT = Path(__file__).parents[2]
MODULE = "evaluation.grading.worker"
START_LIMIT = 120.0
# The worker ends an overdue grade itself; beyond this it is taken to be stuck and killed from here.
GRACE = 1.0


class WorkerProcess:
    """One isolated grader, started when first asked and again after it died.

    It is a fresh interpreter (fork and exec, safe beside threads and CUDA), not a copy of this one,
    and leads its own session, so that Ctrl-C reaches only the caller. Not shared across `os.fork`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id, or None while none runs."""
        return self._process.pid if self._process else None

    def ask(self, request: dict[str, object]) -> Verdict:
        """Return (outcome, answer found outside a box, how decided) for one request.

        A worker that dies for another reason than its own limits is replaced and asked again once.
        """
        line = json.dumps(request).encode() + b"\n"
        for _ in range(2):
            try:
                return self._exchange(line)
            except (EOFError, BrokenPipeError):
                self.stop()
            except TimeoutError:
                self.stop()
                return Verdict("timeout", None, "stuck")
            except BaseException:
                self.stop()  # an interrupted exchange would leave its reply to the next one
                raise
        return Verdict("error", None, "worker_died")

    def stop(self) -> None:
        """Kill the worker and its child, if any run."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def _exchange(self, line: bytes) -> Verdict:
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(line)
        process.stdin.flush()
        return self._read(process, self._settings["time_limit"] + GRACE)

    def _start(self) -> subprocess.Popen[bytes]:
        settings = json.dumps({**self._settings, "parent": os.getpid()})
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", MODULE, settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        try:
            self._read(process, START_LIMIT)
        except (EOFError, TimeoutError) as error:
            self.stop()
            raise RuntimeError(f"the grading worker {MODULE} did not start") from error
        return process

    @staticmethod
    def _read(process: subprocess.Popen[bytes], seconds: float) -> Verdict:
        assert process.stdout is not None
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        reply = process.stdout.readline()
        if not reply.endswith(b"\n"):
            raise EOFError
        return Verdict(*json.loads(reply))


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    # sympy's order of symbols depends on the hash seed.
    return {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": path}
