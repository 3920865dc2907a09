"""The check every part makes of its own hyperparameters."""

from __future__ import annotations

import math
from typing import get_args, get_type_hints


def check_choice(part: object, *fields: str) -> None:
    """Raise ValueError unless each of the part's fields is one of the words that its type lists."""
    for field in fields:
        value, words = getattr(part, field), get_args(get_type_hints(type(part))[field])
        if value not in words:
            known = " or ".join(repr(word) for word in words)
            raise ValueError(f"{type(part).__name__}.{field}={value!r} must be {known}")


def check_range(part: object, field: str, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise ValueError unless the part's field is a finite number in [low, high]."""
    value = getattr(part, field)
    number = isinstance(value, int | float) and math.isfinite(value)
    if not (number and low <= value <= high):
        bounds = f" in [{low}, {high}]" if math.isfinite(low) or math.isfinite(high) else ""
        raise ValueError(f"{type(part).__name__}.{field}={value!r} must be a finite number{bounds}")


def check_bounds(part: object, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise ValueError unless the part's fields low and high are None or numbers in [low, high], in order."""
    given = [name for name in ("low", "high") if getattr(part, name) is not None]
    for name in given:
        check_range(part, name, low, high)
    if len(given) == 2 and part.low > part.high:  # type: ignore[attr-defined]
        raise ValueError(
            f"{type(part).__name__}.low={part.low} is above high={part.high}; nothing lies between them"  # type: ignore[attr-defined]
        )
