"""Read LaTeX and compare sets through math-verify; the only module that imports it, in a worker only."""

import re
from functools import lru_cache
from typing import Any

from math_verify import parse, verify
from sympy import Basic, Expr, I, MatrixBase, Rational, Sum, nan, zoo

from evaluation.grading.numbers import plain_number, spell_repeating

_LONE_LETTER = re.compile(r"(?<=[\d)}])\s*([a-zA-Z])$")


@lru_cache(maxsize=4096)
def expression(text: str) -> Any:  # noqa: ANN401  sympy's own classes are not typed
    """Return what a text in LaTeX says, None where math-verify cannot read it.

    Nothing is fished out of a text that fails as a whole.
    """
    number = plain_number(text)
    if number is not None:
        return Rational(number.value.numerator, number.value.denominator)
    # math-verify would drop a lone letter after a number as a unit.
    latex = f"\\boxed{{{_LONE_LETTER.sub(_in_brackets, spell_repeating(text))}}}"
    readings = parse(latex, extraction_mode="first_match", parsing_timeout=None)
    read = next((each for each in readings if isinstance(each, Basic | MatrixBase)), None)
    if read is None or read.has(nan, zoo):
        return None
    if isinstance(read, Expr) and not read.has(Sum):
        units = {symbol: I for symbol in read.free_symbols if symbol.name == "i"}
        return read.subs(units) if units else read
    return read


def _in_brackets(match: re.Match[str]) -> str:
    return f"({match[1]})"


def found_in(text: str) -> str | None:
    """Return the answer that math-verify finds in prose."""
    readings = parse(text, parsing_timeout=None)
    return next((each for each in readings if isinstance(each, str) and each.strip()), None)


def verified(left: Basic, right: Basic, settings: dict[str, Any]) -> bool:
    """Return math-verify's own verdict; it is not symmetric, the gold comes first."""
    return bool(
        verify(
            [right],
            [left],
            float_rounding=settings["float_rounding"],
            numeric_precision=settings["numeric_precision"],
            allow_set_relation_comp=True,
            timeout_seconds=None,
            raise_on_error=True,
        )
    )
