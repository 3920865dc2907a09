"""What parts declare that they read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator


def parts_of(thing: object) -> Iterator[object]:
    """Yield `thing` and everything its dataclass fields hold, tuples opened."""
    yield thing
    children = thing if isinstance(thing, tuple) else ()
    if dataclasses.is_dataclass(thing):
        children = tuple(getattr(thing, field.name) for field in dataclasses.fields(thing))
    for child in children:
        yield from parts_of(child)


def needs_of(*things: object, phase: str = "needs") -> frozenset[str]:
    """Return what `things` and all their parts read: the union of what they declare under `needs`.

    Known names: rollouts, demonstrations, prefixes, entropy, behavior_logp, sampler_logp, reference_logp,
    current_logp, current_entropy, value, greedy_reward.

    Args:
        things: Parts, terms or algorithms.
        phase: "needs" for all of it; "plan_needs" for what must be there when the step is planned.
    """
    return frozenset[str]().union(
        *(getattr(part, phase, frozenset()) for thing in things for part in parts_of(thing))
    )
