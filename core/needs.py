"""What parts declare that they read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator


def held_by(thing: object) -> Iterator[object]:
    """Yield what a part's fields hold, tuples opened."""
    if isinstance(thing, tuple):
        for each in thing:
            yield from held_by(each) if isinstance(each, tuple) else (each,)
    elif dataclasses.is_dataclass(thing):
        yield from held_by(tuple(getattr(thing, field.name) for field in dataclasses.fields(thing)))


def parts_of(thing: object) -> Iterator[object]:
    """Yield `thing` and everything that it holds, at any depth."""
    yield thing
    for part in held_by(thing):
        yield from parts_of(part)


def needs_of(*things: object, phase: str = "needs") -> frozenset[str]:
    """Return what `things` and all their parts read: the union of what they declare under `needs`.

    What training can give is listed in core/provided.py.

    Args:
        things: Parts, terms or algorithms.
        phase: "needs" for all of it; "plan_needs" for what must be there when the step is planned.
    """
    return frozenset[str]().union(
        *(getattr(part, phase, frozenset()) for thing in things for part in parts_of(thing))
    )
