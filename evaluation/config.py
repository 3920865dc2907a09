"""Settings of an evaluation: what is asked, and how answers are sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EvalConfig:
    """An evaluation protocol.

    Args:
        suites: Names of lm-eval tasks in evaluation/tasks.
        samples: Answers sampled to each question, k of avg@k.
        temperature: Logits are divided by this; 0 is greedy.
        top_p: Smallest share of probability that sampling keeps.
        max_response_tokens: An answer ends here at the latest, and is then counted as truncated.
        batch_size: Most answers sampled at once.
        limit: Only the first questions of each suite; None asks all.
        suite_samples: Answers to each question of the suites that get another number of them.
        option_seed: Of the order of options in multiple choice; None keeps the data's.
        changed_data: Let a file have other questions than its task was written for.
    """

    suites: tuple[str, ...]
    samples: int = 1
    temperature: float = 0.6
    top_p: float = 0.95
    max_response_tokens: int = 8192
    batch_size: int = 128
    limit: int | None = None
    suite_samples: Mapping[str, int] = field(default_factory=dict)
    option_seed: int | None = 0
    changed_data: bool = False

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name in ("samples", "max_response_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"evaluation.{name}={getattr(self, name)} must be at least 1")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                f"evaluation.temperature={self.temperature} must be at least 0 and "
                f"evaluation.top_p={self.top_p} in (0, 1]"
            )
        if any(count < 1 for count in self.suite_samples.values()):
            raise ValueError(f"evaluation.suite_samples={dict(self.suite_samples)} must be at least 1 each")
        most = max([self.samples, *self.suite_samples.values()])
        if self.temperature == 0 and most > 1:
            raise ValueError(
                f"evaluation.samples={most} at temperature 0 would be equal answers; use samples=1"
            )

    def samples_of(self, suite: str) -> int:
        """Return k of a suite's avg@k."""
        return self.suite_samples.get(suite, self.samples)
