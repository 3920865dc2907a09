"""The largest weight of a token, over all that policies may say of it.

Searched over the token's probability in (0, 1] and over its ratios to the behavior policy, to the sampler and
to the reference policy, each within e^±60: on a grid, then around its best point. Responses of two tokens are
searched too, since a likelihood may let one token weigh on the other.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from core import PolicyTokens, Term, TermPlan, TokenBatch
from core.protocols import LossTerm
from studies.explaining.numbers import number

REACH, HALF = 60.0, 30.0
GROWS = 1.0 + 1e-6
GROWS_FAR = 10.0
"""What counts as growth where points are drawn, so that their largest varies."""
SURPRISES = (0.0, 0.001, 0.05, 0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0, 120.0)
RATIOS = (0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0)
FEW = (0.0, 0.1, 0.5, 1.0, 3.0, 30.0, 60.0)
SURPRISE, BEHAVIOR, SAMPLER, REFERENCE = range(4)
"""Coordinates of a token: −log π_θ, and logs of π_θ/π_behavior, π_behavior/π_sampler and π_θ/π_reference."""
LIMITS = (2.0 * REACH, REACH, REACH, REACH)
QUANTITIES = (
    ("1/π_θ", SURPRISE, 1.0),
    ("π_θ/π_behavior", BEHAVIOR, 1.0),
    ("π_behavior/π_θ", BEHAVIOR, -1.0),
    ("π_behavior/π_sampler", SAMPLER, 1.0),
    ("π_sampler/π_behavior", SAMPLER, -1.0),
    ("π_θ/π_reference", REFERENCE, 1.0),
    ("π_reference/π_θ", REFERENCE, -1.0),
)


@dataclass(frozen=True)
class Bound:
    """The largest weight of a token, infinite where it grows without bound, and what it grows with then."""

    largest: float
    grows_with: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the statement."""
        if self.largest < float("inf"):
            return f"bounded by {number(self.largest, digits=5)}"
        return "unbounded" + (f": grows with {' and '.join(self.grows_with)}" if self.grows_with else "")


@dataclass(frozen=True)
class Search:
    """The weights of one term's tokens, by their coordinates.

    Args:
        term: The term.
        sign: Of the advantage; additive terms have none.
        scale: The largest factor that the term's mask gives tokens by looking across rows.
        free: Coordinates that the term can depend on.
    """

    term: LossTerm
    sign: float
    scale: float
    free: tuple[int, ...]

    def weigh(self, rows: Tensor) -> Tensor:
        """Return the largest weight in each row of tokens; `rows` is of shape (rows, tokens, coordinates)."""
        logp = -rows[..., SURPRISE]
        behavior = logp - rows[..., BEHAVIOR]
        one = torch.ones_like(logp)
        step = TokenBatch(
            response_mask=torch.ones(logp.shape, dtype=torch.bool),
            group=torch.arange(len(logp)),
            is_demonstration=torch.zeros(len(logp), dtype=torch.bool),
            reward=one[:, 0],
            behavior_logp=behavior,
            sampler_logp=behavior - rows[..., SAMPLER],
            reference_logp=logp - rows[..., REFERENCE],
            current_logp=logp,
            current_entropy=one,
            value=0.0 * one,
            greedy_reward=0.0 * one[:, 0],
        )
        plan = TermPlan(self.sign * one if isinstance(self.term, Term) else one, one, target=0.0 * one)
        found = self.term.coefficients(plan, PolicyTokens(logp, one, 0.0 * one), step)
        return self.scale * found.logp.abs().amax(dim=1)

    def bound(self) -> Bound:
        """Return the supremum."""
        bounds = [self._bound_of(rows, growth) for rows, growth in self._starts()]
        return max(bounds, key=lambda bound: bound.largest)

    def on_policy(self) -> Search:
        """Return the search while π_θ is the behavior policy."""
        return dataclasses.replace(self, free=tuple(place for place in self.free if place != BEHAVIOR))

    def _starts(self) -> list[tuple[Tensor, float]]:
        """Return all points of a grid, and pairs of them; with what counts as growth in each."""
        values = {SURPRISE: SURPRISES, BEHAVIOR: _both(RATIOS)}
        axes = [values.get(place, _both(FEW)) if place in self.free else (0.0,) for place in range(4)]
        grid = torch.tensor(list(product(*axes)), dtype=torch.float64)[:, None, :]
        grid = grid[_possible(grid)]
        drawn = torch.randint(len(grid), (4000, 2), generator=torch.Generator().manual_seed(0))
        return [(grid, GROWS), (grid[drawn, 0], GROWS_FAR)]

    def _bound_of(self, rows: Tensor, growth: float) -> Bound:
        weights, far = self.weigh(rows), rows.abs() / torch.tensor(LIMITS, dtype=torch.float64)
        largest = float(weights.max())
        near = (far <= HALF / REACH).flatten(1).all(dim=1)
        if largest <= growth * float(weights[near].max()):
            return Bound(self._climb(rows))
        drivers = []
        for name, place, direction in QUANTITIES:
            held = (direction * rows[..., place] <= LIMITS[place] / 2).all(dim=1)
            if float(weights[held].max()) * growth < largest:
                drivers.append(name)
        return Bound(float("inf"), tuple(drivers))

    def _climb(self, rows: Tensor) -> float:
        """Return the largest weight near the best of some rows, by ever smaller steps in all directions."""
        weights, free = self.weigh(rows), self.free
        best, largest = rows[weights.argmax()], float(weights.max())
        moves = torch.tensor(
            list(product((0.0, 1.0, -1.0), repeat=best.shape[0] * len(free))),
            dtype=torch.float64,
        ).reshape(-1, best.shape[0], len(free))
        size = 1.0
        while size > 1e-9:
            tried = best.repeat(len(moves), 1, 1)
            tried[..., list(free)] += size * moves
            tried = tried[_possible(tried)]
            weights = self.weigh(tried)
            if float(weights.max()) > largest:
                best, largest = tried[weights.argmax()], float(weights.max())
            size *= 0.6
        return largest


def _both(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(dict.fromkeys([*values, *(-value for value in values)]))


def _possible(rows: Tensor) -> Tensor:
    """Return which rows are within reach and of probabilities of at most 1, for every policy."""
    surprise, behavior = rows[..., SURPRISE], rows[..., SURPRISE] + rows[..., BEHAVIOR]
    sampler, reference = behavior + rows[..., SAMPLER], surprise + rows[..., REFERENCE]
    allowed = (rows.abs() <= torch.tensor(LIMITS, dtype=torch.float64)).all(dim=-1)
    for each in (surprise, behavior, sampler, reference):
        allowed = allowed & (each >= 0.0)
    return allowed.all(dim=1)
