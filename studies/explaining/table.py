"""README's table: every registered algorithm at its defaults, term by term, in its parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from algorithms import ALGORITHMS
from core import Term
from core.protocols import LossTerm
from core.tokens import EveryToken
from studies.catalog import UsageError
from studies.explaining.names import compact
from studies.explaining.variation import algorithms_of

BEGIN, END = "<!-- algorithms: begin -->", "<!-- algorithms: end -->"
ELSEWHERE = ("name", "rows", "aggregation")
"""Fields of additive terms that have columns of their own."""
HEAD = ("Algorithm", "Term", "Mask", "Denominator", "Advantage", "Likelihood", "Rows", "Aggregation")


def markdown_row(cells: Sequence[str]) -> str:
    """Return a row of a markdown table; a | within a cell is escaped."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def algorithm_table() -> str:
    """Return the table of all registered algorithms, one row a term."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for name, function in ALGORITHMS.items():
        label = f"[`{name}`](docs/algorithms/{name}.md)"
        for prefix, algorithm in algorithms_of(function()):
            for term in algorithm.terms:
                rows.append((label, f"`{prefix}{term.name}`", *_cells(term)))
                label = ""
    return "\n".join(map(markdown_row, rows))


def write_table(path: Path) -> None:
    """Put the table between the markers of a file.

    Raises:
        UsageError: The markers are not there, once each and in order.
    """
    path.write_text(with_table(path.read_text(), str(path)))


def with_table(text: str, name: str) -> str:
    """Return a text with the table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end or text.count(BEGIN) != 1 or text.count(END) != 1:
        raise UsageError(f"{name}: the lines {BEGIN} and {END} must stand in it, once each and in this order")
    return f"{before}{BEGIN}\n\n{algorithm_table()}\n\n{END}{after}"


def _cells(term: LossTerm) -> tuple[str, ...]:
    if not isinstance(term, Term):
        rest = [f"`{compact(getattr(term, field, None))}`" for field in ("rows", "aggregation")]
        return (f"additive: `{compact(term, without=ELSEWHERE)}`", "", "", "", *rest)
    estimator = term.estimator
    rows = compact(term.rows)
    if not isinstance(term.tokens, EveryToken):
        rows += f", {compact(term.tokens)}"
    if term.weight != 1.0:
        rows += f", weight {term.weight:g}"
    parts = (estimator.mask, estimator.denominator, estimator.advantage, estimator.likelihood)
    return (*(f"`{compact(part)}`" for part in parts), f"`{rows}`", f"`{compact(term.aggregation)}`")
