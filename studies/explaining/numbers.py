"""How numbers are written: few digits, the same on every machine."""

from __future__ import annotations

import math

DIGITS = 3
_EXACT = 1e-9


def number(value: float, digits: int = DIGITS) -> str:
    """Return a number with a few significant digits; whole numbers below a million in full."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "nan"
    nearest = round(value)
    if abs(value - nearest) <= _EXACT * max(1.0, abs(value)) and abs(nearest) < 1_000_000:
        return str(nearest).replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−")


def fraction(value: float) -> str:
    """Return a number as a whole number or as one over a whole number, where it is one."""
    if value != 0 and abs(value) < 0.75:
        inverse = 1.0 / value
        if abs(inverse - round(inverse)) <= _EXACT * abs(inverse):
            return f"{'−' if value < 0 else ''}1/{abs(round(inverse))}"
    return number(value)


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{number(100.0 * share)} %"
