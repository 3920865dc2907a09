"""What a step made of each of its rows."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from core import StepPlan
from training.responses import Response


class RowUse(NamedTuple):
    """What an optimizer step made of one row.

    Args:
        row: The response.
        terms: Names of the terms that select it.
        trained: Whether it went through forward and backward: rows that no term gives a gradient do not.
    """

    row: Response
    terms: tuple[str, ...]
    trained: bool


def row_uses(plan: StepPlan, rows: Sequence[Response], active: Set[int]) -> list[RowUse]:
    """Return what a step made of each of its rows.

    Args:
        plan: Of the step.
        rows: The step's.
        active: Those that went through the model.
    """
    selects = {
        term.name: part.weight.any(dim=1).tolist() for term, part in zip(plan.terms, plan.plans, strict=True)
    }
    return [
        RowUse(row, tuple(name for name, chosen in selects.items() if chosen[index]), index in active)
        for index, row in enumerate(rows)
    ]
