"""Work that one rank does alone, but for the sampling, in which all take part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from training.ranks import Ranks
from training.rollout import Sampled, Sampler, Sampling

T = TypeVar("T")


class Samples(Protocol):
    """What answers prompts."""

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Sampled]:
        """Return one response to each prompt, in order; equal prompts get draws of their own."""
        ...


@dataclass(frozen=True)
class _Led:
    """Has all ranks sample what the first one asks for."""

    sampler: Sampler
    ranks: Ranks

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Sampled]:
        self.ranks.from_first((prompts, sampling, seed))
        return self.sampler.sample(prompts, sampling, seed)


def on_first(ranks: Ranks, sampler: Sampler, work: Callable[[Samples], T]) -> T | None:
    """Return what `work` returns on rank 0; the others return None once it is done.

    Args:
        ranks: All call this.
        sampler: Of each rank.
        work: Is given a sampler whose work is shared by all ranks.
    """
    if ranks.first:
        result = work(_Led(sampler, ranks))
        ranks.from_first(None)
        return result
    while (asked := ranks.from_first(None)) is not None:
        sampler.sample(*asked)
    return None
