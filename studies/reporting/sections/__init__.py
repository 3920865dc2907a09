"""The parts that studies' reports are put together from.

Each is a function `part(context: Context) -> Part` in a module of its own, computed from records alone.
"""

from __future__ import annotations

import importlib
from typing import cast

from studies.catalog import known
from studies.reporting.parts import Context, Part

SECTIONS: dict[str, str] = {
    "scores": "studies.reporting.sections.scores",
    "differences": "studies.reporting.sections.differences",
    "dynamics": "studies.reporting.sections.dynamics",
    "exclusive": "studies.reporting.sections.exclusive",
    "pass_at_k": "studies.reporting.sections.pass_at_k",
    "published": "studies.reporting.sections.published",
    "question_map": "studies.reporting.sections.question_map",
    "budgets": "studies.reporting.sections.budgets",
    "effects": "studies.reporting.sections.effects",
    "noise": "studies.reporting.sections.noise",
    "tuning": "studies.reporting.sections.tuning",
    "sweep": "studies.reporting.sections.sweep",
}
"""Module of each part by the name that studies call it."""


def make_part(name: str, context: Context) -> Part:
    """Return a part of a study's report."""
    module = importlib.import_module(SECTIONS[known("section", name, SECTIONS)])
    return cast("Part", module.part(context))
