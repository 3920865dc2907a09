"""What a run spends, and how much it may."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from training.limits import check_limit


@dataclass(frozen=True)
class Budget:
    """Limits of a run's training beside its steps; the step that reaches one is the last. None: no limit.

    Args:
        generated_tokens: Tokens sampled, those of greedy baselines too; given prefixes are none.
        demonstration_tokens: Tokens of demonstrations that some term trained on.
        flops: Floating-point operations of sampling, scoring and training, by closed forms.
        seconds: Wall-clock time of the steps; validation and checkpoints are no part of it.
    """

    generated_tokens: int | None = None
    demonstration_tokens: int | None = None
    flops: float | None = None
    seconds: float | None = None

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name, limit in dataclasses.asdict(self).items():
            check_limit(f"train.budget.{name}", limit)

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: limit for name, limit in dataclasses.asdict(self).items() if limit is not None}


@dataclass
class Spent:
    """What a run has spent so far, by the names of `Budget`."""

    generated_tokens: int = 0
    demonstration_tokens: int = 0
    flops: float = 0.0
    seconds: float = 0.0

    def add(self, other: Spent) -> None:
        """Add what one step spent."""
        for each in dataclasses.fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def reaches(self, budget: Budget) -> bool:
        """Return whether any limit is reached."""
        return any(getattr(self, name) >= limit for name, limit in budget.limits.items())

    def metrics(self) -> dict[str, float]:
        """Return the totals as metrics; the clock's is among the times, which no two runs share."""
        counted = dataclasses.asdict(self)
        seconds = counted.pop("seconds")
        return {f"spent/{name}": value for name, value in counted.items()} | {"time/total": seconds}
