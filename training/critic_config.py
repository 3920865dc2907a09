"""Settings of the critic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.limits import check_limit


@dataclass(frozen=True)
class CriticConfig:
    """The critic of algorithms that need values; everything else is the policy's, the micro-batches too.

    Args:
        learning_rate: Constant over the run.
        gradient_clip: Largest global norm of a critic step's gradient. None: no clip.
        warmup_steps: Rollout batches that train the critic alone, before the policy's first update with it.
        model: Directory or hub name that it starts from: a critic, or a language model that is given a value
            head of zeros. None: the policy's own.
    """

    learning_rate: float = 1e-5
    gradient_clip: float | None = 1.0
    warmup_steps: int = 0
    model: str | None = None

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name in ("learning_rate", "warmup_steps"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"critic.{name}={getattr(self, name)} must be finite and not negative")
        check_limit("critic.gradient_clip", self.gradient_clip)
