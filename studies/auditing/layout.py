"""Where each row of a step is trained: on which rank, in which of its micro-batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.packing import own_micro_batches
from training.ranks import Ranks
from training.responses import Response

CASES = ("1", "2", "4", "ragged")
"""Micro-batches of the rank that has most; "ragged": not as many on every rank, then a step that leaves all
ranks but one without anything. On a single rank: three of them, then a single row."""


@dataclass(frozen=True)
class Layout:
    """The micro-batches of a step.

    Args:
        micro_batches: Row indices, by rank and micro-batch; rows without gradient are in none.
    """

    micro_batches: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def ranks(self) -> int:
        """How many ranks there are."""
        return len(self.micro_batches)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many micro-batches each rank has."""
        return tuple(len(batches) for batches in self.micro_batches)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Rank and number of every micro-batch."""
        return [(rank, number) for rank, count in enumerate(self.counts) for number in range(count)]

    def rows(self, place: tuple[int, int]) -> tuple[int, ...]:
        """Return the rows of one micro-batch."""
        return self.micro_batches[place[0]][place[1]]


def layout_of(rows: Sequence[Response], active: Sequence[int], budget: int, ranks: int) -> Layout:
    """Return where the trainer puts the rows of a step.

    Args:
        rows: Of the step.
        active: Those that have a gradient.
        budget: `EngineConfig.micro_batch_tokens`.
        ranks: How many there are.
    """
    trained = [rows[index] for index in active]
    found = []
    for rank in range(ranks):
        own = own_micro_batches(trained, budget, Ranks(rank, ranks))
        found.append(tuple(tuple(active[index] for index in batch) for batch in own if batch))
    return Layout(tuple(found))


def find_budget(rows: Sequence[Response], active: Sequence[int], case: str, ranks: int) -> int | None:
    """Return the least `micro_batch_tokens` that divides the rows as a case wants; None where none does."""
    trained = [rows[index] for index in active]
    largest = max(len(row) for row in trained) * len(trained) * 2
    most = 3 if case == "ragged" and ranks == 1 else 4 if case == "ragged" else int(case)
    for budget in range(1, largest + 1):
        # Every rank is told as many micro-batches as the busiest has: ask one before asking all.
        if len(own_micro_batches(trained, budget, Ranks(0, ranks))) > most:
            continue
        if _fits(layout_of(rows, active, budget, ranks).counts, case):
            return budget
    return None


def _fits(counts: Sequence[int], case: str) -> bool:
    if case != "ragged":
        return set(counts) == {int(case)}
    return max(counts) == 3 if len(counts) == 1 else max(counts) > 1 and min(counts) < max(counts)
