"""Which questions of the training set are asked, and when."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from training.seeds import derive_seed

Item = TypeVar("Item")


def spread(questions: Sequence[Item], levels: Sequence[str | None], wanted: int | None) -> list[Item]:
    """Return so many questions in their order, spread evenly over the levels and over the file."""
    if wanted is None:
        return list(questions)
    if wanted > len(questions):
        raise ValueError(f"train.questions={wanted} is more than the {len(questions)} of the training set")
    by_level: dict[str | None, list[int]] = {}
    for index, level in enumerate(levels):
        by_level.setdefault(level, []).append(index)
    kept: set[int] = set()
    # The smallest level first: what it lacks is taken from the others.
    for taken, indices in enumerate(sorted(by_level.values(), key=len)):
        share = round((wanted - len(kept)) / (len(by_level) - taken))
        count = min(share, len(indices))
        kept |= {indices[place * len(indices) // count] for place in range(count)}
    return [questions[index] for index in sorted(kept)]


def questions_of_step(count: int, per_step: int, step: int, seed: int) -> tuple[int, ...]:
    """Return the indices of the questions that step `step` (from 0) asks.

    Every epoch is a new permutation; what is left of it, less than a step's worth, is not asked.
    """
    steps_per_epoch = count // per_step
    epoch, position = divmod(step, steps_per_epoch)
    order = list(range(count))
    random.Random(derive_seed(seed, "order", epoch)).shuffle(order)
    return tuple(order[position * per_step : (position + 1) * per_step])
