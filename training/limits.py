"""Checks of settings that limit something."""

from __future__ import annotations

import math


def check_limit(name: str, value: float | None) -> None:
    """Raise ValueError unless a limit is None or a finite number above 0."""
    if value is not None and not 0.0 < value < math.inf:
        raise ValueError(f"{name}={value} must be None or a finite number above 0")
