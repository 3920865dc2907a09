"""What is said of an algorithm, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core import Algorithm
from studies.explaining.bounds import Bounds
from studies.explaining.conditions import Settings
from studies.explaining.dead import Examined
from studies.explaining.docstrings import Docstring
from studies.explaining.equality import Equal


@dataclass(frozen=True)
class PartFacts:
    """A part of a term, with those that it holds."""

    role: str
    value: object
    said: Docstring
    inner: tuple[PartFacts, ...] = ()


@dataclass(frozen=True)
class TermFacts:
    """A term: its parts, its formula and how large it can become; `additive` is an additive term itself."""

    name: str
    additive: PartFacts | None
    weight: float | None
    parts: tuple[PartFacts, ...]
    formulas: tuple[str, ...]
    bounds: Bounds | None


@dataclass(frozen=True)
class StageFacts:
    """The terms of one stage or side step, and what they do to groups."""

    title: str
    label: str
    algorithm: Algorithm
    terms: tuple[TermFacts, ...]
    asked: tuple[PartFacts, ...]
    bias: str
    groups: tuple[str, ...]
    aside: StageFacts | None
    equals: tuple[Equal, ...] = ()


@dataclass(frozen=True)
class ArgumentFacts:
    """An argument with its value and its meaning."""

    name: str
    value: object
    default: object
    meaning: str


@dataclass(frozen=True)
class Explanation:
    """An algorithm, explained."""

    name: str
    function: str
    summary: str
    arguments: tuple[ArgumentFacts, ...]
    swapped: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    differs: tuple[tuple[str, str], ...]
    scale: str
    settings: Settings
    stages: tuple[StageFacts, ...]
    equals: tuple[Equal, ...]
    examined: Examined
    metrics: Mapping[str, str]
