"""How numbers are written in tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

LONGEST_STATUS = 160


def entries_of(part: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as dictionaries."""
    return [{str(name): value for name, value in entry.items()} for entry in part.to_dict("records")]


def heading(suite: str) -> str:
    """Return what the column of a suite, or of an average, is called."""
    return suite.replace("_", " ") if suite.startswith("average ") else suite


def percent(share: float, missing: str = "n/a") -> str:
    """Return a share of 1 in percent, with one digit after the point."""
    return missing if pd.isna(share) else f"{100 * share:.1f}"


def signed(share: float) -> str:
    """Return a difference of shares in points, with its sign."""
    return f"{'−' if share < 0 else '+'}{percent(abs(share))}"


def p_value(p: float) -> str:
    """Return a p-value as tables have it."""
    if pd.isna(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def shortened(text: str) -> str:
    """Return a status on one line, its end cut off where it is long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_STATUS else f"{text[: LONGEST_STATUS - 1]}…"
