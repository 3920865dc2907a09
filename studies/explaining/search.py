"""The largest weight of a token, over all that policies may say of it.

Searched over the token's probability in (0, 1] and over its ratios to the behavior policy, to the sampler and
to the reference policy, each within e^±60: on a grid, then around its best point. A likelihood may let tokens
of a response weigh on each other; longer responses, of one token beside others that are alike, are searched
then too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from core import PolicyTokens, Term, TermPlan, TokenBatch
from core.protocols import LossTerm

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
LENGTHS = (1, 2, 4, 8)
"""Of the responses that are searched, in tokens."""
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
class Search:
    """The weights of one term's tokens, by their coordinates.

    Args:
        term: The term.
        sign: Of the advantage; additive terms have none.
        scale: The largest factor that the term's mask gives tokens by looking across rows.
        free: Coordinates that the term can depend on.
        length: Tokens of a response.
    """

    term: LossTerm
    sign: float
    scale: float
    free: tuple[int, ...]
    length: int = 1

    def on_policy(self) -> Search:
        """Return the search while π_θ is the behavior policy."""
        return dataclasses.replace(self, free=tuple(place for place in self.free if place != BEHAVIOR))

    def of_length(self, length: int) -> Search:
        """Return the search of responses of some tokens."""
        return dataclasses.replace(self, length=length)

    def is_tokenwise(self) -> bool:
        """Return whether the weight of a token does not depend on the rest of its response."""
        grid = self._grid()
        drawn = torch.randint(len(grid), (500, LENGTHS[-1]), generator=torch.Generator().manual_seed(1))
        rows = grid[drawn]
        alone = self.weights(rows.reshape(-1, 1, rows.shape[-1])).reshape(drawn.shape)
        return bool(torch.isclose(self.weights(rows), alone, rtol=1e-9, atol=0.0).all())

    def weights(self, rows: Tensor) -> Tensor:
        """Return the weight of each token; `rows` is of shape (rows, tokens, coordinates)."""
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
        return self.scale * found.logp.abs()

    def supremum(self) -> tuple[float, tuple[str, ...]]:
        """Return the largest weight in responses of the length; where it is infinite, what it grows with."""
        rows, growth = self._grid()[:, None], GROWS
        if self.length > 1:
            drawn = torch.randint(len(rows), (4000, 2), generator=torch.Generator().manual_seed(0))
            alike = drawn[:, :1].expand(-1, 2)
            rows, growth = rows[torch.cat([drawn, alike]), 0], GROWS_FAR
        weights, far = self._weigh(rows), rows.abs() / torch.tensor(LIMITS, dtype=torch.float64)
        largest = float(weights.max())
        near = (far <= HALF / REACH).flatten(1).all(dim=1)
        if largest <= growth * float(weights[near].max()):
            return self._climb(rows), ()
        drivers = []
        for name, place, direction in QUANTITIES:
            held = (direction * rows[..., place] <= LIMITS[place] / 2).all(dim=1)
            if float(weights[held].max()) * growth < largest:
                drivers.append(name)
        return float("inf"), tuple(drivers)

    def _weigh(self, rows: Tensor) -> Tensor:
        """Return the largest weight of responses that are given by their first token and all others."""
        if self.length > 1:
            rows = torch.cat([rows[:, :1], rows[:, 1:].expand(-1, self.length - 1, -1)], dim=1)
        return self.weights(rows).amax(dim=1)

    def _grid(self) -> Tensor:
        """Return tokens of all kinds."""
        values = {SURPRISE: SURPRISES, BEHAVIOR: _both(RATIOS)}
        axes = [values.get(place, _both(FEW)) if place in self.free else (0.0,) for place in range(4)]
        grid = torch.tensor(list(product(*axes)), dtype=torch.float64)
        return grid[_possible(grid[:, None])]

    def _climb(self, rows: Tensor) -> float:
        """Return the largest weight near the best of some rows, by ever smaller steps in all directions."""
        weights, free = self._weigh(rows), self.free
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
            weights = self._weigh(tried)
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
