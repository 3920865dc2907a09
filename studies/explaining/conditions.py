"""The training settings under which something is said, and what can be relaxed of them.

Policies may have moved since the rollouts were sampled, rewards lie between 0 and 1, questions have another
number of rollouts, or each its own, and the critic have moved since then too.
"""

from __future__ import annotations

from dataclasses import dataclass

STALE, GRADED, RESIZED, UNEVEN, LEARNT = "stale", "graded", "resized", "uneven", "learnt"
RELAXATIONS = (STALE, GRADED, RESIZED, UNEVEN, LEARNT)


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
            RESIZED: f"{self.rollouts} of a question",
            UNEVEN: "as many rollouts and one demonstration of every question",
            LEARNT: "a critic that has not moved since the rollouts were sampled",
        }[relaxation]

    def reason(self, relaxation: str) -> str:
        """Return why a setting cannot act as long as a relaxation is not made."""
        return {
            STALE: "one update per rollout batch, so every ratio to the behavior policy is 1",
            GRADED: "every reward is 0 or 1",
            RESIZED: f"every question has {self.rollouts}",
            UNEVEN: "every question has as many rollouts, and one demonstration",
            LEARNT: "one update per rollout batch, so the critic has not moved",
        }[relaxation]
