"""Schedules: numbers that change over the run, by the share of its steps that is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from core.checks import check_fields, check_range
from core.protocols import Schedule


@dataclass(frozen=True)
class Fixed:
    """The same number throughout."""

    value: float

    latex: ClassVar[str] = "%(value)s"

    def __post_init__(self) -> None:
        check_range(self, "value")

    def __call__(self, progress: float) -> float:  # noqa: ARG002
        """Return the number."""
        return self.value


@dataclass(frozen=True)
class Linear:
    """A straight line from `start` to `end`, which is reached after a share `over` of the run and kept."""

    start: float
    end: float
    over: float = 1.0

    latex: ClassVar[str] = r"%(start)s\to%(end)s"

    def __post_init__(self) -> None:
        check_range(self, "start")
        check_range(self, "end")
        check_range(self, "over", 0.0, 1.0)

    def __call__(self, progress: float) -> float:
        """Return the number at `progress`."""
        if progress >= self.over:
            return self.end
        return self.start + (self.end - self.start) * progress / self.over


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from `start` to `end` over a share `over` of the run, after a linear rise from 0.

    μ = start · progress / warmup                                 while progress < warmup
    μ = end + (start − end) · (1 + cos(π · (progress − warmup) / (over − warmup))) / 2   until `over`
    μ = end                                                       from then on
    """

    start: float
    end: float
    over: float = 1.0
    warmup: float = 0.0

    latex: ClassVar[str] = r"%(start)s\searrow_{\cos}%(end)s"

    def __post_init__(self) -> None:
        check_range(self, "start")
        check_range(self, "end")
        check_range(self, "over", 0.0, 1.0)
        check_range(self, "warmup", 0.0, self.over)

    def __call__(self, progress: float) -> float:
        """Return the number at `progress`."""
        if progress < self.warmup:
            return self.start * progress / self.warmup
        if progress >= self.over:
            return self.end
        turned = math.cos(math.pi * (progress - self.warmup) / (self.over - self.warmup))
        return self.end + (self.start - self.end) * (1.0 + turned) / 2.0


@dataclass(frozen=True)
class Until:
    """Another schedule over the first `share` of the run, then a number for good.

    μ = schedule(progress / share)  while progress < share,  `after` from then on
    """

    schedule: Schedule
    share: float
    after: float = 0.0

    latex: ClassVar[str] = r"%(schedule)s\ \mathrm{until}\ %(share)s"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "share", 0.0, 1.0)
        check_range(self, "after")

    def __call__(self, progress: float) -> float:
        """Return the number at `progress`."""
        return self.schedule(progress / self.share) if progress < self.share else self.after
