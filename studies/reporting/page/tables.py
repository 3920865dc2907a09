"""Tables as the page shows them: each cell with what it is sorted by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from studies.reporting.parts import NOTHING, Cell, Section
from studies.reporting.tables import LEFT

_NUMBER = re.compile(r"[<>≤≥≈~\s]*([−+-]?)\s*(\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w.])", re.IGNORECASE)


class CellView(NamedTuple):
    """A cell's text, the number that it is sorted by (None: by its text, or last), and whether it is bold."""

    text: str
    number: float | None
    bold: bool


class TableView(NamedTuple):
    """A table of the page; `numeric` tells for each column whether it is sorted by numbers."""

    name: str
    heading: str
    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[CellView]]
    notes: Sequence[str]


def table_view(section: Section, words: bool = False) -> TableView:
    """Return a section of the report as the page shows it; a table of `words` has no columns of numbers."""
    columns = [str(name) for name in section.cells.columns]
    texts = [[str(text) for text in row] for row in section.cells.itertuples(index=False, name=None)]
    numeric = [
        not words and name not in LEFT and _counts([row[place] for row in texts])
        for place, name in enumerate(columns)
    ]
    rows = [
        [
            CellView(
                text, number(text) if numeric[place] else None, Cell(index, columns[place]) in section.bold
            )
            for place, text in enumerate(row)
        ]
        for index, row in enumerate(texts)
    ]
    return TableView(section.name, section.heading, columns, numeric, rows, section.notes)


def number(text: str) -> float | None:
    """Return the number that a text begins with ("−14.5 ± 2.0" → −14.5); None where it begins with none."""
    found = _NUMBER.match(text)
    if not found:
        return None
    return float(found[2].replace(",", "")) * (-1 if found[1] in ("−", "-") else 1)


def _counts(texts: Sequence[str]) -> bool:
    """Return whether a column holds numbers: words ("missing") may stand for some of them."""
    told = [text for text in texts if text != NOTHING]
    return bool(told) and 2 * sum(number(text) is not None for text in told) >= len(told)
