"""What a mirror of a run is, whatever the tracker."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from studies.catalog import UsageError
from studies.mirroring.points import Point

LONGEST_ID = 96


class Sink(Protocol):
    """One run's mirror, open for more points."""

    def write(self, points: Iterable[Point]) -> None:
        """Take points and have them safe on return."""

    def close(self) -> None:
        """Take no more."""


@dataclass(frozen=True)
class Place:
    """One run's mirror.

    Args:
        folder: Of all runs' mirrors of this kind.
        run: The run's directory.
        attempt: How often its steps were taken back, where the tracker cannot forget some.
        config: The run's configuration.
    """

    folder: Path
    run: Path
    attempt: int
    config: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The run's name for all time, from where it lies."""
        where = hashlib.sha256(str(self.run.resolve()).encode()).hexdigest()[:8]
        plain = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{self.config['study']}-{self.run.name}")[:LONGEST_ID]
        return f"{plain}-{where}" + (f"-{self.attempt}" if self.attempt else "")


class Target(Protocol):
    """A kind of mirror."""

    @property
    def forgets(self) -> bool:
        """Whether steps can be taken back."""

    def holds(self, place: Place) -> bool:
        """Return whether something of this run is there."""

    def open(self, place: Place, purge_step: int | None) -> Sink:
        """Open a run's mirror, and forget what it holds from a step on."""


def needed(name: str, package: str) -> None:
    """Raise UsageError, with the way out, where the package of a mirror is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            f"mirror {name!r} needs the package {package}, which is not installed: pip install --constraint "
            "constraints.txt --editable '.[mirrors]'"
        )
