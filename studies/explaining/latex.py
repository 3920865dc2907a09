"""Rows of a paper's table, from the `latex` that parts declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from core import Algorithm, Curriculum, Term
from core.needs import parts_of
from core.protocols import LossTerm
from core.tokens import EveryToken
from studies.explaining.formulas import WHERE, cell, escape, value
from studies.explaining.numbers import number

COLUMNS = (
    "Algorithm",
    "Rows",
    r"$\mathbf{1}_{\mathrm{stable}}$",
    r"$\pi_{\mathrm{ref}}$ ($\rho=\pi_\theta/\pi_{\mathrm{ref}}$)",
    r"$\hat{A}$",
    "Likelihood",
    "Aggregation",
)
ELSEWHERE = ("name", "rows", "tokens", "aggregation")
"""Fields of additive terms that have columns of their own."""


class Row(NamedTuple):
    """A line of the table; a note has no term."""

    term: str
    cells: str
    indent: str = ""


def table_rows(name: str, built: Algorithm | Curriculum) -> list[str]:
    """Return a comment that names the columns, and rows of a booktabs table.

    A row a term. Below an algorithm's terms a note for each of their gates, for what is asked of rollouts and
    for side steps, whose terms follow it; above the terms of a curriculum's stage one that names it. Formulas
    are set with amsmath and amssymb.
    """
    rows = list(_stages(built))
    several = sum(bool(row.term) for row in rows) > 1
    lines = [f"% {' & '.join(COLUMNS)}"]
    for place, row in enumerate(rows):
        term = f"({escape(row.term)})" if row.term and several else ""
        words = (row.indent, escape(name) if place == 0 else "", term)
        lines.append(f"{' '.join(word for word in words if word)} & {row.cells} \\\\")
    return lines


def _stages(built: Algorithm | Curriculum) -> Iterator[Row]:
    for place, stage in enumerate(built.stages):
        if len(built.stages) > 1:
            share = number(100.0 * stage.share)
            yield _note(f"stage {place + 1}, {share}\\% of the steps: {escape(stage.algorithm.name)}")
        yield from _algorithm(stage.algorithm)


def _algorithm(algorithm: Algorithm, indent: str = "") -> Iterator[Row]:
    for term in algorithm.terms:
        cells, clauses = _cells(term)
        yield Row(term.name, cells, indent)
        yield from (_note(f"where {clause}") for clause in clauses)
    yield from _gates(algorithm.terms)
    for name, part in vars(algorithm.rollouts).items():
        if part is not None:
            yield _note(f"rollouts, {escape(name)}: {cell(part)}")
    if (aside := algorithm.aside) is not None:
        yield _note(
            f"side steps, one after every {aside.questions} questions with "
            rf"$P_q\le {value(aside.threshold)}$, on these: {escape(aside.algorithm.name)}"
        )
        yield from _algorithm(aside.algorithm, indent + r"\quad")


def _gates(terms: tuple[LossTerm, ...]) -> Iterator[Row]:
    """Yield a note for each gate of the terms' rows, with the terms' names where gates differ."""
    held: dict[str, dict[str, None]] = {}
    for term in terms:
        for part in parts_of(getattr(term, "rows", None)):
            gate = getattr(part, "gate", None)
            if gate is not None:
                held.setdefault(value(gate), {})[term.name] = None
    for said, names in held.items():
        of = f" of {', '.join(map(escape, names))}" if len(held) > 1 else ""
        yield _note(rf"gate{of}: $(\alpha,\,\beta)={said}$")


def _note(text: str) -> Row:
    return Row("", rf"\multicolumn{{{len(COLUMNS) - 1}}}{{l}}{{{text}}}")


def _cells(term: LossTerm) -> tuple[str, list[str]]:
    """Return a term's row, and the clauses that explain its symbols."""
    aggregation = getattr(term, "aggregation", None)
    if isinstance(term, Term):
        estimator = term.estimator
        parts = (estimator.mask, estimator.denominator, estimator.advantage, estimator.likelihood)
        said = [cell(part) for part in parts]
    else:
        said = [cell(term, without=ELSEWHERE)]
    middle, clauses = zip(*map(_split, said), strict=True)
    if not isinstance(term, Term):
        middle = (rf"\multicolumn{{{len(COLUMNS) - 3}}}{{l}}{{{middle[0]}}}",)
    last = "" if aggregation is None else cell(aggregation)
    return " & ".join([_rows(term), *middle, last]), [clause for clause in clauses if clause]


def _split(said: str) -> tuple[str, str]:
    """Return a cell without the clause at its end, and that clause."""
    head, _, clause = said.partition(WHERE)
    return (f"{head}$", f"${clause}") if clause else (said, "")


def _rows(term: LossTerm) -> str:
    """Return which rows and tokens a term trains on, after its weight where that is not 1."""
    rows, tokens = getattr(term, "rows", None), getattr(term, "tokens", EveryToken())
    if rows is None:
        return ""
    said = value(rows)
    if not isinstance(tokens, EveryToken):
        said += rf",\ {value(tokens)}"
    if isinstance(term, Term) and term.weight != 1.0:
        weighed = said if r"\,[" in said else f"[{said}]"
        said = rf"{value(term.weight)}\,{weighed}"
    return f"${said}$"
