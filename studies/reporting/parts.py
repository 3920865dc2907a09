"""What a report is made of: tables of text with the numbers behind them, and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from studies.reporting.answers import Answers, answers_of
from studies.reporting.records import Records
from studies.reporting.summaries import Distribution, summarize

NOTHING = "–"


class Cell(NamedTuple):
    """Where a table's text stands: its row, counted from 0, and its column."""

    row: int
    column: str


@dataclass(frozen=True)
class Section:
    """A table of text.

    Args:
        name: Of its file: letters, digits and `_`.
        heading: Above the table.
        cells: Text.
        notes: Sentences under the table.
        bold: Cells that stand out.
        data: The numbers that the text was written from, unrounded; written to `name`.csv and .parquet where
            there are some. The main table's go to table.csv.
    """

    name: str
    heading: str
    cells: pd.DataFrame
    notes: Sequence[str] = ()
    bold: frozenset[Cell] = frozenset()
    data: pd.DataFrame | None = None


@dataclass(frozen=True)
class Chart:
    """A figure.

    Args:
        name: Of its file: letters, digits and `_`.
        heading: Above the figure.
        spec: Vega-Lite specification, its data inside.
        notes: Sentences under the figure.
    """

    name: str
    heading: str
    spec: Mapping[str, Any]
    notes: Sequence[str] = ()


class Part(NamedTuple):
    """What a section function of a study returns.

    Args:
        sections: Tables, in order.
        charts: Figures, in order.
        files: Texts that are written beside the tables, by the file's name: what other studies read.
    """

    sections: Sequence[Section] = ()
    charts: Sequence[Chart] = ()
    files: Mapping[str, str] = {}


@dataclass(frozen=True)
class Context:
    """What section functions read.

    Args:
        records: The study's runs.
        distributions: For each suite whether it is in or out of the training distribution.
        answers: For each arm `answers.answers_of` its samples.
        summary: `summaries.summarize` of all that.
    """

    records: Records
    distributions: Mapping[str, Distribution]
    answers: Mapping[str, Answers] = field(init=False)
    summary: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        records = self.records
        answers = {arm: answers_of(records.samples, arm) for arm in records.study.arms}
        object.__setattr__(self, "answers", answers)
        object.__setattr__(self, "summary", summarize(records, self.distributions, answers))
