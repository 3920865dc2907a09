"""Whether variants of an algorithm do anything else than it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studies.explaining.asking import Refused
from studies.explaining.behavior import Built, behavior, in_time, is_stateful
from studies.explaining.conditions import RELAXATIONS, Settings
from studies.explaining.standing import same_around, same_coefficients, standing


@dataclass(frozen=True)
class Trial:
    """An algorithm that its variants are compared with.

    Args:
        base: The algorithm.
        samples: Rollouts of each question.
    """

    base: Built
    samples: int

    def takes(self, variant: Built, relaxed: frozenset[str]) -> bool:
        """Return whether a variant can take all steps."""
        try:
            behavior(variant, self.samples, relaxed)
        except Refused:
            return False
        return True

    def acts(self, variant: Built, relaxed: frozenset[str]) -> bool:
        """Return whether a variant does anything else, at once or in a long run."""
        return self._acts_at_once(variant, relaxed) or self._acts_in_time(variant, relaxed)

    def silent(self, variants: Sequence[Built], relaxed: frozenset[str]) -> bool:
        """Return whether no variant does anything else within a few steps."""
        return not any(self._acts_at_once(variant, relaxed) for variant in variants)

    def conditions(self, variants: Sequence[Built], settings: Settings) -> tuple[str, ...]:
        """Return the relaxations under which one of the variants acts, none of which does without."""
        found = standing(lambda relaxed: self.silent(variants, relaxed), settings).conditions
        everything = frozenset(RELAXATIONS)
        # Long runs take long: they are asked where shorter ones have found nothing.
        if found or all(not self._acts_in_time(variant, everything) for variant in variants):
            return found

        def holds(relaxed: frozenset[str]) -> bool:
            return not any(self._acts_in_time(variant, relaxed) for variant in variants)

        return standing(holds, settings).conditions

    def _acts_at_once(self, variant: Built, relaxed: frozenset[str]) -> bool:
        base = behavior(self.base, self.samples, relaxed)
        try:
            other = behavior(variant, self.samples, relaxed)
        except Refused:  # a step that a part refuses tells nothing
            return False
        return not (same_around(other, base) and same_coefficients(other, base))

    def _acts_in_time(self, variant: Built, relaxed: frozenset[str]) -> bool:
        if not is_stateful(self.base):
            return False
        base = in_time(self.base, self.samples, relaxed)
        try:
            other = in_time(variant, self.samples, relaxed)
        except Refused:
            return False
        return not (same_around(other, base) and same_coefficients(other, base))
