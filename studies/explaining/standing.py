"""Whether algorithms do the same, and under which conditions something holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from studies.explaining.behavior import Behavior
from studies.explaining.conditions import RELAXATIONS, Settings

RELATIVE = 1e-10


def same(first: Tensor, second: Tensor) -> bool:
    """Return whether numbers agree, by the largest of each kind."""
    if first.shape != second.shape:
        return False
    if not first.numel():
        return True
    largest = torch.maximum(first.abs(), second.abs()).amax(dim=(-1, -2), keepdim=True)
    return bool(((first - second).abs() <= RELATIVE * largest).all())


def same_coefficients(first: Behavior, second: Behavior) -> bool:
    """Return whether all coefficients agree, side steps not counted."""
    return _all_same(first.coefficients, second.coefficients)


def same_around(first: Behavior, second: Behavior) -> bool:
    """Return whether everything agrees that is asked of rollouts, side steps and stages."""
    return first.around == second.around and _all_same(first.aside, second.aside)


def _all_same(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> bool:
    return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))


class Standing(NamedTuple):
    """Whether something holds under the settings, and which of its conditions it needs for that."""

    holds: bool
    conditions: tuple[str, ...] = ()


def standing(holds: Callable[[frozenset[str]], bool], settings: Settings) -> Standing:
    """Return whether a statement about probes holds, and the relaxations that break it, alone or together.

    It holds whatever else is relaxed.

    Args:
        holds: The statement, of the probes that a set of relaxations allows.
        settings: The training settings.
    """
    if not holds(settings.relaxed):
        return Standing(False)
    others = [name for name in RELAXATIONS if name not in settings.relaxed]
    needed = {name for name in others if not holds(settings.relaxed | {name})}
    while not holds(settings.relaxed | (set(others) - needed)):
        together = set(others) - needed
        for name in reversed(others):  # the sooner it is left out, the harder it is to explain
            if name in together and not holds(settings.relaxed | (together - {name})):
                together.remove(name)
        needed |= together
    return Standing(True, tuple(name for name in others if name in needed))
