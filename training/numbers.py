"""Numbers of a run's records: what was not measured is None, never NaN and never 0."""

from __future__ import annotations

import math


def share(part: float, whole: float) -> float | None:
    """Return part/whole, or None where there is no whole."""
    return part / whole if whole else None


def finite(number: float) -> float | None:
    """Return the number, or None where it was never measured."""
    return number if math.isfinite(number) else None
