"""Every part of a composition has a formula for a table, whose placeholders are its own fields."""

import dataclasses
import re

import pytest

import core

# What holds parts together, or is no part of a formula.
CONTAINERS = {
    "Algorithm", "Curriculum", "PolicyGradient", "PolicyTokens", "RolloutPlan", "SideStep", "Stage",
    "StepPlan", "Term", "TokenBatch",
}  # fmt: skip
PARTS = [
    getattr(core, name)
    for name in core.__all__
    if dataclasses.is_dataclass(getattr(core, name)) and name not in CONTAINERS
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_parts_formula_is_filled_from_its_fields(part):
    values = {field.name: f"<{field.name}>" for field in dataclasses.fields(part)}
    assert "latex" not in values, "a class variable, not a field"
    # A formula that depends on its fields is a property, which needs a part.
    rendered = (part().latex if isinstance(part.latex, property) else part.latex) % values
    assert rendered.count("{") == rendered.count("}")
    assert "$" not in rendered
    assert not re.search(r"[^\x20-\x7e]", rendered), "only what a table's font surely has"


def test_the_formula_of_a_group_baseline_says_over_whom_and_whether_it_is_divided():
    union = "rollouts_and_demonstrations"
    formulas = {
        core.GroupRelative(m, normalize_std=s).latex for m in ("rollouts", union) for s in (True, False)
    }
    assert len(formulas) == 4
    assert r"\sigma" not in core.GroupRelative(normalize_std=False).latex
