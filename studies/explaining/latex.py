"""Rows of a paper's table, from the `latex` that parts declare."""

from __future__ import annotations

import dataclasses
import re

from core import Algorithm, Curriculum, Term
from core.protocols import LossTerm
from studies.catalog import UsageError
from studies.explaining.names import compact

COLUMNS = (
    "Algorithm",
    r"$\mathbb{1}_{\mathrm{stable}}$",
    r"$\pi_{\mathrm{ref}}$",
    r"$\hat{A}$",
    "Likelihood",
    "Aggregation",
)
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}
_NOTHING = {"low": r"-\infty", "high": r"\infty", "cap": r"\infty"}
"""What None stands for in a field: no bound there; elsewhere nothing is written."""


def table_rows(name: str, built: Algorithm | Curriculum) -> list[str]:
    """Return a comment that names the columns, and a row of a booktabs table for each term."""
    rows = [f"% {' & '.join(COLUMNS)}"]
    terms = [term for stage in built.stages for term in stage.algorithm.terms]
    for place, term in enumerate(terms):
        label = escape(name if place == 0 else "")
        label = f"{label} ({escape(term.name)})".strip() if len(terms) > 1 else label
        rows.append(f"{label} & {_cells(term)} \\\\")
    return rows


def _cells(term: LossTerm) -> str:
    if not isinstance(term, Term):
        return rf"\multicolumn{{{len(COLUMNS) - 1}}}{{l}}{{{cell(term)}}}"
    estimator = term.estimator
    parts = (
        estimator.mask,
        estimator.denominator,
        estimator.advantage,
        estimator.likelihood,
        term.aggregation,
    )
    cells = [cell(part) for part in parts]
    if term.weight != 1.0:
        cells[2] = cell(estimator.advantage, rf"{value(term.weight)}\cdot ")
    return " & ".join(cells)


def cell(part: object, factor: str = "") -> str:
    """Return a part's formula in math mode, after a factor; what it is called where it declares none."""
    said = formula(part)
    if said:
        return f"${factor}{said}$"
    name = rf"\texttt{{{escape(compact(part))}}}"
    return f"${factor}$ {name}" if factor else name


def formula(part: object) -> str:
    """Return a part's formula with its fields filled in, "" where it declares none.

    A field that the formula does not name is written behind it, unless it is at its default: the formula of a
    class is that of its defaults.

    Raises:
        UsageError: The formula names a field that the part has not, or holds a bare %.
    """
    declared = getattr(part, "latex", None)
    if not isinstance(declared, str):
        return ""
    fields = dataclasses.fields(part) if dataclasses.is_dataclass(part) else ()
    held = {each.name: value(getattr(part, each.name), each.name) for each in fields}
    named = _Named(held)
    try:
        said = declared % named
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(
            f"{type(part).__name__}.latex={declared!r} cannot be filled in ({error!r}); its fields are "
            f"{sorted(held)}, written %(field)s, and a bare % is written %%"
        ) from error
    if isinstance(getattr(type(part), "latex", None), str):
        unnamed = [each for each in fields if each.name not in (*named.asked, "name")]
        for each in unnamed:
            if each.default not in (dataclasses.MISSING, getattr(part, each.name)):
                said += rf"\;[\mathrm{{{escape(each.name)}}}={held[each.name] or 'None'}]"
    return said


class _Named(dict[str, str]):
    """Values of fields, that remember which of them were asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> str:
        self.asked.append(name)
        return super().__getitem__(name)


def value(held: object, name: str = "") -> str:
    """Return what a field holds, in math mode."""
    if held is None:
        return _NOTHING.get(name, "")
    if isinstance(held, tuple):
        return r",\,".join(value(each) for each in held)
    if isinstance(held, bool | str):
        return rf"\mathrm{{{escape(str(held))}}}"
    if isinstance(held, int | float):
        return _number(held)
    return formula(held) or rf"\texttt{{{escape(compact(held))}}}"


def _number(held: float) -> str:
    """Return a number; powers of ten as such."""
    mantissa, _, exponent = f"{held:.6g}".partition("e")
    if not exponent:
        return mantissa
    power = f"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa}\cdot {power}"


def escape(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return re.sub(r"[\\~^&%$#_{}]", lambda found: _SPECIAL[found.group()], text)
