"""A process that ends with the one it works for, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

import psutil

from studies.running.launching import launched

PR_SET_PDEATHSIG = 1
PARENT_WATCH_SECONDS = 1.0


def end_with(driver: int) -> None:
    """Have this process end when the driver or its launcher of ranks does, even by SIGKILL."""
    # A launcher may be gone before a rank is here.
    parent = os.getppid() if launched() else driver
    if launched() and psutil.Process(parent).ppid() != driver:
        os.killpg(0, signal.SIGKILL)
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
