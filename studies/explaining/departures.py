"""What an algorithm and its parts say they do otherwise than what they are made after."""

from __future__ import annotations

from collections.abc import Iterator

from studies.explaining.explanation import Explanation, PartFacts
from studies.explaining.sentences import Section, all_stages

PAPER = "the paper"
NONE = "none known"


def departures(facts: Explanation) -> tuple[Section, ...]:
    """Return the remarks by what they differ from: the paper first, and then whatever else is named.

    Those of parts are told with the part's name. That a paper has none is told too: nothing said would read
    like nothing looked at.
    """
    found: dict[str, dict[str, None]] = {PAPER: {}}
    for target, remark in facts.differs:
        found.setdefault(target, {})[remark] = None
    for part in _parts(facts):
        for target, remark in part.said.differs:
            name = getattr(part.value, "__name__", type(part.value).__name__)
            found.setdefault(target, {})[f"{name}: {remark}"] = None
    return tuple(
        Section(f"Differs from {target}", tuple(remarks) or (NONE,)) for target, remarks in found.items()
    )


def _parts(facts: Explanation) -> Iterator[PartFacts]:
    for stage in all_stages(facts.stages):
        for term in stage.terms:
            yield from _with_inner((*((term.additive,) if term.additive else ()), *term.parts))
        yield from _with_inner(stage.asked)


def _with_inner(parts: tuple[PartFacts, ...]) -> Iterator[PartFacts]:
    for part in parts:
        yield part
        yield from _with_inner(part.inner)
