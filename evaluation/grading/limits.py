"""Refuse, before any algebra, an answer whose size alone would exhaust a comparison."""

import re

# Longer boxes are not even rewritten, and beyond the second not looked at.
MAX_CHARACTERS = 600
MAX_SCANNED = 20_000
MAX_DEPTH = 8
MAX_CELLS = 64

_POWER = r"(?:\^|\*\*)(?:\s*\\left)?"
_TOO_LARGE = (
    ("digits", re.compile(r"\d{60}")),
    ("tower", re.compile(rf"\d[\s}}]*{_POWER}[\s{{(+-]*\d+(?:\.\d+)?[\s}}]*{_POWER}")),
    ("exponent", re.compile(rf"{_POWER}[\s{{(+-]*\d{{5}}")),
    ("factorial", re.compile(r"\d{4}[\s)}]*!|!\s*[)}]*\s*!|(?:binom|Gamma)\W*\d{4}")),
    ("series", re.compile(r"\\(?:sum|prod|int|lim|det)(?![a-z])")),
)
_CODE = re.compile(
    r"__|(?<!\\)\blambda\b\s*[:\w]|\b(?:eval|exec|open|getattr|import|compile|system)\b\s*\}?\s*\("
)
# Its closed form is known whatever its bounds.
_POLYNOMIAL_SUM = re.compile(
    r"\\sum_\{([a-z])=\d{1,12}\}\^\{?(\d{1,12}|[a-zA-Z])\}?\s*([\w\s+()-]|\^\{?\d\}?)+"
)


def exceeded_limit(answer: str) -> str | None:
    """Return the name of the first limit a rewritten answer is over, or None."""
    if _depth(answer) > MAX_DEPTH:
        return "depth"
    if answer.count(",") + answer.count("&") + answer.count(r"\\") > MAX_CELLS:
        return "cells"
    if _POLYNOMIAL_SUM.fullmatch(answer):
        return None
    return next((name for name, pattern in _TOO_LARGE if pattern.search(answer)), None)


def is_code(answer: str) -> bool:
    """Return whether an answer as given looks like a program, which is never read."""
    return _CODE.search(answer) is not None


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest
