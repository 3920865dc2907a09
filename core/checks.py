"""The check every part makes of its own hyperparameters."""

from __future__ import annotations

import math


def check_range(part: object, field: str, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise ValueError unless the part's field is a finite number in [low, high]."""
    value = getattr(part, field)
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f" in [{low}, {high}]" if math.isfinite(low) or math.isfinite(high) else ""
        raise ValueError(f"{type(part).__name__}.{field}={value} must be a finite number{bounds}")
