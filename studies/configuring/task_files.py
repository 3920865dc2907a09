"""The names of the suites, read without loading lm-eval; evaluation/suites.py checks their task files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from studies.catalog import PROJECT, known

TASKS = PROJECT / "evaluation" / "tasks"


def check_suite_names(suites: Sequence[str]) -> None:
    """Raise UsageError with the nearest names for a suite that is unknown."""
    texts = [path.read_text() for path in sorted(TASKS.rglob("*.yaml"))]
    names = [task.group(1) for text in texts if (task := re.search(r"^task:\s*(\S+)", text, re.MULTILINE))]
    for suite in suites:
        known("suite", suite, names)
