"""Compare plain numbers exactly, and decimals with the values that they round."""

import re
from fractions import Fraction
from typing import NamedTuple

# A decimal gold is within this share of the fraction that it rounds; of an irrational number, which has no
# other decimal, three figures suffice.
ROUNDED_FRACTION = Fraction(1, 1000)
THREE_FIGURES = Fraction(1, 100)
# A decimal stands for an exact number if they differ by no more than this, and by no larger a share.
SIX_DECIMALS = Fraction(1, 10**6)
LEADING = Fraction(1, 10**4)

_DIGITS = r"(?:\d+(?:\.\d*)?|\.\d+)"
_PLAIN = re.compile(
    rf"\s*([+-]?)\s*({_DIGITS})\s*(?:(?:\\times|\\cdot|\*)\s*10\s*\^\s*\{{?\s*([+-]?\s*\d{{1,4}})\s*\}}?)?\s*"
)
_FRACTION = re.compile(
    r"\s*([+-]?)\s*(\d+(?=\s*\\frac))?\s*(?:\\frac\s*(?:\{\s*([+-]?\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d)\s*(\d))|(\d+)\s*/\s*(\d+))\s*"
)
_POWER = re.compile(r"\s*([+-]?)\s*10\s*\^\s*\{?\s*([+-]?\s*\d{1,4})\s*\}?\s*")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PERCENT = re.compile(r"\s*\\?%\s*$")
_DECIMAL = re.compile(r"\d\.\d|\.\d")
_REPEATING = re.compile(r"(\d*)\.(\d*)\\overline\{?(\d+)\}?")
_DEGREES = re.compile(r"\s*\^\s*\{?\s*\\circ\s*\}?\s*$")


class Number(NamedTuple):
    """A plain number.

    Args:
        value: Exactly as written.
        unit_place: One unit of its last digit.
        decimal: Whether it is written with a decimal point or a power of ten.
    """

    value: Fraction
    unit_place: Fraction
    decimal: bool


def plain_number(text: str) -> Number | None:
    """Return the number that a rewritten text is, if it is written in digits alone."""
    text = text.strip()
    power = _POWER.fullmatch(text)
    if power:
        value = Fraction(10) ** int(power[2].replace(" ", ""))
        return Number(-value if power[1] == "-" else value, Fraction(1), decimal=False)
    if _GROUPED.fullmatch(text.lstrip("+- ")):
        text = text.replace(",", "")
    match = _PLAIN.fullmatch(text)
    if match is None:
        return _fraction(text)
    sign, digits, exponent = match.groups()
    scale = Fraction(10) ** int((exponent or "0").replace(" ", ""))
    places = len(digits.partition(".")[2])
    value = Fraction(digits.rstrip(".")) * scale
    return Number(-value if sign == "-" else value, scale / 10**places, places > 0 or exponent is not None)


def _fraction(text: str) -> Number | None:
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    over, under = (part for part in match.groups()[2:] if part is not None)
    if int(under) == 0 or (match[2] and int(over) < 0):
        return None
    value = int(match[2] or 0) + Fraction(int(over), int(under))
    return Number(-value if match[1] == "-" else value, Fraction(1), decimal=False)


def same_number(answer: Number, gold: Number) -> bool:
    """Return whether two plain numbers agree.

    Two decimals, or two that are none, must be equal. A decimal answers an exact gold if it is right to
    six decimals and four figures, and an exact answer also a decimal gold that rounds it.
    """
    if answer.value == gold.value:
        return True
    if answer.decimal == gold.decimal:
        return False
    gap, size = abs(answer.value - gold.value), max(abs(answer.value), abs(gold.value))
    return (gap <= SIX_DECIMALS and gap <= LEADING * size) or (
        not answer.decimal and rounds_to(answer.value, gold)
    )


def scaled(number: Number, scale: Fraction) -> Number:
    """Return a multiple of a number; a percentage counts as a decimal where it is written as one."""
    return Number(number.value * scale, number.unit_place * scale, number.decimal)


def strip_percent(text: str) -> tuple[str, bool]:
    """Return a text without the percent sign at its end, and whether it had one."""
    short = _PERCENT.sub("", text)
    return short, short != text


def strip_degrees(text: str) -> tuple[str, bool]:
    """Return a text without the degree sign at its end, and whether it had one."""
    short = _DEGREES.sub("", text)
    return short, short != text


def is_decimal(text: str) -> bool:
    """Return whether a text holds a decimal, a number that may be rounded."""
    return bool(_DECIMAL.search(text))


def spell_repeating(text: str) -> str:
    r"""Return a text with each 0.1\overline{6} written as a fraction."""
    return _REPEATING.sub(_as_fraction, text)


def _as_fraction(match: re.Match[str]) -> str:
    whole, fixed, repeated = match.groups()
    over = int((whole or "0") + fixed + repeated) - int((whole or "0") + fixed or "0")
    return rf"\frac{{{over}}}{{{(10 ** len(repeated) - 1) * 10 ** len(fixed)}}}"


def rounds_to(exact: Fraction, gold: Number, *, irrational: bool = False) -> bool:
    """Return whether a decimal gold gives an exact value to its last digit, rounded or cut off."""
    error, size = abs(exact - gold.value), abs(gold.value)
    fine = gold.unit_place <= THREE_FIGURES * size if irrational else error < ROUNDED_FRACTION * size
    return gold.decimal and error < gold.unit_place and fine
