"""Waiting for other processes."""

import time


def until(condition, seconds=120):
    """Return once the condition holds; fail when it has not after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
