"""The driver's side of a worker: start it, give it a run, hear from it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studies.catalog import PROJECT
from studies.record import RunConfig, to_json
from studies.running.launching import python_command, share_cpus, share_devices

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""Limits, in bytes, by which glibc keeps what small tensors leave for the next ones: the kernel is not asked
for zeroed pages again and again, and a tiny step takes a tenth less time."""
TAIL_LINES = 15
TERM_SECONDS, KILL_SECONDS = 2.0, 2.0


@dataclass(frozen=True)
class Reply:
    """How a run ended: `reason` is None where it finished; `died` says that its worker ended with it."""

    reason: str | None
    died: bool = False


@dataclass(eq=False)  # a process: equal to itself alone
class Worker:
    """A process that carries runs out one after another, in a process group of its own.

    Args:
        execute: "module:function" of what carries out a run.
        log: File that takes whatever it prints.
        threads: CPU threads; None leaves them alone.
        devices: Its GPUs, as CUDA_VISIBLE_DEVICES has them; None leaves them alone.
        cpus: The CPUs that it keeps to with all it starts; None leaves them alone.
    """

    execute: str
    log: Path
    threads: int | None
    devices: str | None = None
    cpus: set[int] | None = None
    _ranks: int = field(default=1, init=False)
    _process: subprocess.Popen[bytes] | None = None
    _heard: bytes = b""
    _log_start: int = field(default=0, init=False)

    def give(self, run: RunConfig, directory: Path) -> None:
        """Have a run carried out; starts the process when there is none, of as many ranks as the run has."""
        if run.ranks != self._ranks:
            self.end()
            self._ranks = run.ranks
        process = self._process = self._process or self._start()
        self._log_start = self.log.stat().st_size
        job = {"run": json.dumps(to_json(run)), "directory": str(directory)}
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died meanwhile, which `hear` tells
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()

    def hear(self) -> Reply | None:
        """Return how the run ended, or None while it goes on."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        ended = process.poll()  # before reading: what it wrote before it ended is then there to read
        while piece := process.stdout.read(65536):
            self._heard += piece
        line, newline, rest = self._heard.partition(b"\n")
        if newline:
            self._heard = rest
            return Reply(json.loads(line)["reason"])
        if ended is None:
            return None
        self.end()
        return Reply(_cause(ended), died=True)

    def log_tail(self) -> str:
        """Return the last lines of what the run printed."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def release(self) -> subprocess.Popen[bytes] | None:
        """Return the process and forget it."""
        process, self._process = self._process, None
        return process

    def end(self) -> None:
        """End the process with all it started."""
        end_all([self])

    def _start(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                python_command(self._ranks, "studies.running.worker", [self.execute, str(os.getpid())]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env=_environment(self.threads, self.devices),
                start_new_session=True,
            )
        if self.cpus is not None:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, self.cpus)  # before it has threads, which would keep theirs
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._heard = b""
        return process


def make_workers(execute: str, logs: Sequence[Path], ranks: int, threads: int | None) -> list[Worker]:
    """Return a worker for each log, with a share of the machine; none has a process before it has a run.

    Args:
        execute: "module:function" of what carries out a run.
        logs: Files that take whatever they print.
        ranks: Processes of each.
        threads: CPU threads of each process; None leaves them alone.
    """
    shares = zip(share_devices(len(logs), ranks), share_cpus(len(logs), ranks, threads), strict=True)
    return [
        Worker(execute, log, threads, devices, cpus)
        for log, (devices, cpus) in zip(logs, shares, strict=True)
    ]


def end_all(workers: Iterable[Worker]) -> None:
    """End the processes of workers and all they started, at the latest after TERM_SECONDS + KILL_SECONDS."""
    processes = [process for worker in workers if (process := worker.release())]
    for sent, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sent)
        deadline = time.monotonic() + seconds
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
    for pipe in [pipe for process in processes for pipe in (process.stdin, process.stdout) if pipe]:
        pipe.close()


def _cause(returncode: int) -> str:
    if returncode >= 0:
        return f"its worker ended with exit code {returncode}"
    name = signal.Signals(-returncode).name
    hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return f"killed by signal {-returncode} ({name}{hint})"


def _environment(threads: int | None, devices: str | None) -> dict[str, str]:
    environment = {
        **MEMORY_KEPT,
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if threads is not None:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = devices
    return environment
