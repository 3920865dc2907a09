"""What the suites' task files say, read without loading lm-eval; evaluation/suites.py checks them in full."""

from __future__ import annotations

import re
from collections.abc import Sequence

from studies.catalog import PROJECT, known

TASKS = PROJECT / "evaluation" / "tasks"


def suite_splits() -> dict[str, str | None]:
    """Return the side of a table that each suite belongs to, or None, by the suite's name."""
    splits = {}
    for path in sorted(TASKS.rglob("*.yaml")):
        text = path.read_text()
        if task := re.search(r"^task:\s*(\S+)", text, re.MULTILINE):
            split = re.search(r"^\s+split:\s*(\S+)", text, re.MULTILINE)
            splits[task.group(1)] = split.group(1) if split else None
    return splits


def check_suite_names(suites: Sequence[str]) -> None:
    """Raise UsageError with the nearest names for a suite that is unknown."""
    splits = suite_splits()
    for suite in suites:
        known("suite", suite, splits)
