"""When and on what a sweep's runs are validated, where the study itself does not say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from studies.catalog import UsageError
from studies.configuring.task_files import TASKS
from studies.record import RunConfig
from studies.validation import ValidationConfig

VALIDATIONS = 4
"""In a run, where its steps can be divided by that."""
QUESTIONS = 50
"""First questions of each suite that validations ask, unless the study says otherwise."""


def validation_of(run: RunConfig) -> ValidationConfig:
    """Return when and on what a run is validated, its last step among them.

    Raises:
        UsageError: The study's own validations leave the last step out.
    """
    own, steps = run.validation, run.train.steps
    every = own.every or steps // next(count for count in range(VALIDATIONS, 0, -1) if steps % count == 0)
    if steps % every:
        raise UsageError(
            f"validation.every={every}: a trial's score is that of its last step; take a divisor of "
            f"train.steps={steps}"
        )
    suites = own.suites or in_distribution(run.evaluation.suites)
    return dataclasses.replace(own, every=every, suites=suites, limit=own.limit or QUESTIONS)


def in_distribution(suites: Sequence[str]) -> tuple[str, ...]:
    """Return those suites that are in the training distribution; all where none is marked so."""
    texts = [path.read_text() for path in sorted(TASKS.rglob("*.yaml"))]
    marked = {
        name.group(1)
        for text in texts
        if (name := re.search(r"^task:\s*(\S+)", text, re.MULTILINE))
        and re.search(r"^\s+split:\s*in_distribution\s*$", text, re.MULTILINE)
    }
    return tuple(suite for suite in suites if suite in marked) or tuple(suites)
