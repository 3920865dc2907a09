"""Formulas in LaTeX, from the `latex` that parts declare and from what their fields hold."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable

from studies.catalog import UsageError
from studies.explaining.names import compact

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}
_NOTHING = {"low": r"-\infty", "high": r"\infty", "cap": r"\infty"}
"""What None stands for in a field: no bound there; elsewhere nothing is written."""
_BETWEEN = {"masks": r"\,", "choices": r"\ \lor\ "}
"""What stands between the parts of a tuple: masks are multiplied, choices of rows united; else a comma."""
_WORDS = {"behavior": "old"}
"""Words that formulas write otherwise: the policy that sampled the rows is the papers' old one."""
WHERE = r",\ \mathrm{where}\ "
"""What stands before a clause that explains a formula's symbols."""
_SIGNS = {-1.0: "-", 1.0: ""}
_UNIT = r"\tfrac{1}{1}"


def cell(part: object, without: Collection[str] = ()) -> str:
    """Return a part's formula in math mode; what it is called where it declares none.

    Args:
        part: The part.
        without: Fields of its own that are not shown behind the formula.
    """
    said = formula(part, without)
    return f"${said}$" if said else rf"\texttt{{{escape(compact(part, without))}}}"


def formula(part: object, without: Collection[str] = ()) -> str:
    """Return a part's formula with its fields filled in, "" where it declares none.

    A field that the formula does not name is written behind it, unless it is at its default: the formula of a
    class is that of its defaults. Clauses of parts within it that begin with `WHERE` end the whole formula.

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
        said, _, clause = (declared % named).replace(_UNIT, "").partition(WHERE)
    except (KeyError, ValueError, TypeError) as error:
        raise UsageError(
            f"{type(part).__name__}.latex={declared!r} cannot be filled in ({error!r}); its fields are "
            f"{sorted(held)}, written %(field)s, and a bare % is written %%"
        ) from error
    if isinstance(getattr(type(part), "latex", None), str):
        unnamed = [each for each in fields if each.name not in (*named.asked, *without, "name")]
        for each in unnamed:
            if each.default not in (dataclasses.MISSING, getattr(part, each.name)):
                said += rf"\;[\mathrm{{{escape(each.name)}}}={named[each.name] or 'None'}]"
    return _ended(said, [clause, *named.clauses])


class _Named(dict[str, str]):
    """Values of fields without their clauses, that remember which of them were asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: list[str] = []
        self.clauses: list[str] = []

    def __getitem__(self, name: str) -> str:
        self.asked.append(name)
        said, _, clause = super().__getitem__(name).partition(WHERE)
        self.clauses.append(clause)
        return said


def _ended(said: str, clauses: Iterable[str]) -> str:
    found = r",\ ".join(dict.fromkeys(clause for clause in clauses if clause))
    return said + WHERE + found if found else said


def value(held: object, name: str = "") -> str:
    """Return what a field holds, in math mode.

    Args:
        held: A number, word, part or tuple of them.
        name: The field's name, by which signs, missing bounds and tuples are written.
    """
    if held is None:
        return _NOTHING.get(name, "")
    if isinstance(held, tuple):
        split = [value(each).partition(WHERE) for each in held]
        between = _BETWEEN.get(name, r",\,")
        return _ended(between.join(said for said, _, _ in split), (clause for _, _, clause in split))
    if isinstance(held, bool | str):
        return rf"\mathrm{{{escape(_WORDS.get(str(held), str(held)))}}}"
    if isinstance(held, int | float):
        return _SIGNS.get(held, _number(held)) if name == "sign" else _number(held)
    return formula(held) or rf"\texttt{{{escape(compact(held))}}}"


def _number(held: float) -> str:
    """Return a number; powers of ten as such."""
    mantissa, _, exponent = f"{held:.6g}".partition("e") if isinstance(held, float) else (str(held), "", "")
    if not exponent:
        return mantissa
    power = f"10^{{{int(exponent)}}}"
    return power if mantissa == "1" else rf"{mantissa}\cdot {power}"


def escape(text: str) -> str:
    """Return text with LaTeX's special characters escaped."""
    return re.sub(r"[\\~^&%$#_{}]", lambda found: _SPECIAL[found.group()], text)
