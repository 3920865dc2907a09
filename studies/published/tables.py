"""What a published table is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Paper:
    """Where tables are from, and the protocol that all of them share.

    Args:
        title: Of the paper.
        authors: Its authors.
        year: Of its first version.
        version: The one that the numbers are from.
        url: Of that version.
        runs: Behind each row.
        margin: The largest difference, in points, that counts as none; fixed before anything was compared.
        digit: The last one that is printed of a score, in points.
        training: Settings by dotted name, or `train_data`, that the paper's own runs had.
        evaluation: Settings of the evaluation, likewise.
        samples: Answers to each question, by suite.
        remarks: What is uncertain of a suite or an algorithm, by its name.
        models: The models by the scales that stand for them here.
    """

    title: str
    authors: str
    year: int
    version: str
    url: str
    runs: int
    margin: float
    digit: float
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    samples: Mapping[str, int]
    remarks: Mapping[str, str]
    models: Mapping[str, str]

    @property
    def cited(self) -> str:
        """How sentences name it."""
        return f"{self.authors}, {self.year} ({self.version})"


@dataclass(frozen=True)
class Row:
    """A row of a table, in percent.

    Args:
        name: As the table has it.
        scores: By suite.
        averages: By name, as printed.
        scale: That stands for its model.
        algorithm: In the registry; None is the model as it is.
        arguments: Those of the algorithm that the table is about.
        copied: Taken from another paper, not run by this one's authors.
        other: A model that no algorithm here makes.
    """

    name: str
    scores: Mapping[str, float]
    averages: Mapping[str, float]
    scale: str
    algorithm: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    copied: bool = False
    other: bool = False


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores.

    Args:
        name: That studies give as `published`.
        caption: What it shows.
        averages: The suites that each printed average is over.
        rows: In the paper's order.
        paper: Where it is from.
    """

    name: str
    caption: str
    averages: Mapping[str, tuple[str, ...]]
    rows: tuple[Row, ...]
    paper: Paper

    @property
    def suites(self) -> tuple[str, ...]:
        """Suites that any average is over."""
        return tuple(dict.fromkeys(suite for group in self.averages.values() for suite in group))


@dataclass(frozen=True)
class SolveRow:
    """Exclusive solves of a pair, by level and overall; each entry is (gained, lost), in questions.

    Args:
        name: Of the pair.
        algorithm: The one that is compared with.
        levels: By level.
        overall: As printed.
    """

    name: str
    algorithm: str
    levels: Mapping[str, tuple[int, int]]
    overall: tuple[int, int]


@dataclass(frozen=True)
class SolveTable:
    """A table of exclusive solves: questions that one policy solves and another does not.

    Args:
        name: That studies give as `published`.
        caption: What it shows.
        scale: That stands for its model.
        suite: Whose questions they are.
        questions: Of each level.
        algorithm: The one whose solves are gained.
        arguments: Those of it that the table is about.
        rows: The pairs.
        paper: Where it is from.
    """

    name: str
    caption: str
    scale: str
    suite: str
    questions: Mapping[str, int]
    algorithm: str
    arguments: Mapping[str, Any]
    rows: tuple[SolveRow, ...]
    paper: Paper


Table = ScoreTable | SolveTable
