"""Evaluations of a policy while it is trained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from evaluation.config import EvalConfig


@dataclass(frozen=True)
class ValidationConfig:
    """When a policy is evaluated in training, and on what; the rest is the final evaluation's protocol.

    Args:
        every: Steps between validations, the first of them after so many; None: never.
        suites: Names of lm-eval tasks; none: those of the final evaluation.
        samples: Answers to each question.
        limit: Only the first questions of each suite; None asks all.
    """

    every: int | None = None
    suites: tuple[str, ...] = ()
    samples: int = 1
    limit: int | None = None

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name in ("every", "samples", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"validation.{name}={value} must be at least 1")

    def due(self, step: int) -> bool:
        """Return whether the policy is evaluated after a step."""
        return self.every is not None and step % self.every == 0

    def protocol(self, final: EvalConfig) -> EvalConfig:
        """Return the protocol of a validation.

        Args:
            final: That of the final evaluation.
        """
        return dataclasses.replace(
            final,
            suites=self.suites or final.suites,
            samples=self.samples,
            suite_samples={},
            limit=self.limit,
        )


def validation_directory(run: Path, step: int) -> Path:
    """Return the folder of the validation after a step, in a run's folder."""
    return run / "validation" / f"step-{step:06d}"
