"""Mirrors beside a study that is being run: what happens to them must not happen to it."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from studies.catalog import known
from studies.mirroring.event_files import TensorBoard
from studies.mirroring.mirror import Mirror, Passed
from studies.mirroring.sinks import Target
from studies.mirroring.weights_and_biases import Account, WeightsAndBiases

TARGETS = ("tensorboard", "wandb")

POLL_SECONDS = 2.0
# The last pass has the whole of the study to write at most.
LAST_PASS_SECONDS = 60.0


def make_mirrors(folder: Path, names: Sequence[str], account: Account) -> list[Mirror]:
    """Return a study's mirrors of these kinds, each once.

    Raises:
        UsageError: A kind is unknown, or its package is not installed.
    """
    return [Mirror(folder, name, _target(name, account)) for name in dict.fromkeys(names)]


def _target(name: str, account: Account) -> Target:
    return TensorBoard() if known("mirror", name, TARGETS) == "tensorboard" else WeightsAndBiases(account)


@contextlib.contextmanager
def mirrored(
    folder: Path, names: Sequence[str], warn: Callable[[str], object] | None = None
) -> Iterator[None]:
    """Mirror a study's runs in a thread as long as the context lasts, and all of them at its end.

    Args:
        folder: Of the study.
        names: Kinds of mirrors; none: nothing is done.
        warn: Is told once, in a line, that and why a mirror has failed; None: stderr is.

    Raises:
        UsageError: A kind is unknown, or its package is not installed.
    """
    stop = threading.Event()
    threads = [
        threading.Thread(target=_keep, args=(mirror, stop, warn or sys.stderr.write), daemon=True)
        for mirror in make_mirrors(folder, names, Account())
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(LAST_PASS_SECONDS)


def _keep(mirror: Mirror, stop: threading.Event, warn: Callable[[str], object]) -> None:
    told: set[str] = set()
    try:
        while not stop.wait(POLL_SECONDS):
            _tell(mirror.take(), told, warn)
        _tell(mirror.take(), told, warn)
        mirror.close()
    except Exception as error:  # noqa: BLE001
        warn(f"a mirror has failed and is given up, the study goes on: {type(error).__name__}: {error}\n")


def _tell(passed: Passed, told: set[str], warn: Callable[[str], object]) -> None:
    for problem in passed.problems:
        if problem not in told:
            told.add(problem)
            warn(f"not mirrored: {problem}\n")
