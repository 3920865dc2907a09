"""The training settings under which something is said, and what can be relaxed of them.

Policies may have moved since the rollouts were sampled, rewards lie between 0 and 1, groups be of uneven
size, and the critic have moved since then too.
"""

from __future__ import annotations

from dataclasses import dataclass

STALE, GRADED, UNEVEN, LEARNT = "stale", "graded", "uneven", "learnt"
RELAXATIONS = (STALE, GRADED, UNEVEN, LEARNT)


@dataclass(frozen=True)
class Settings:
    """What of a scale's training settings an algorithm's coefficients can depend on.

    Args:
        samples: Rollouts of each question.
        updates: Optimizer steps made of each rollout batch.
    """

    samples: int
    updates: int

    @property
    def relaxed(self) -> frozenset[str]:
        """What these settings themselves relax: with several updates, policy and critic move between them."""
        return frozenset({STALE, LEARNT}) if self.updates > 1 else frozenset()

    @property
    def rollouts(self) -> str:
        """How many rollouts there are, in words."""
        return f"{self.samples} rollout{'s' if self.samples > 1 else ''}"

    def condition(self, relaxation: str) -> str:
        """Return what holds as long as a relaxation is not made."""
        return {
            STALE: "one update per rollout batch",
            GRADED: "rewards of 0 and 1",
            UNEVEN: f"{self.rollouts} and one demonstration of every question",
            LEARNT: "a critic that has not moved since the rollouts were sampled",
        }[relaxation]
