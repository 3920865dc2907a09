"""A case of the released code, built from parameters and lists, against its rules in plain numbers."""

import torch

from studies.conforming import reference
from studies.conforming.cases import Case
from studies.conforming.composition import reproduce, reproduced_values
from tests.studies.conforming.released_step import expected


def case_of(params, inputs, cells=()):
    tensors = {name: torch.tensor(values, dtype=torch.float64) for name, values in inputs.items()}
    batches = tuple(tuple(rows) for rows in cells)
    return Case("drawn", "reference", "", params["algorithm"], (), params, tensors, {}, batches)


def numbers_of(case):
    composition = reference.compose(case)
    return reproduced_values(composition, reproduce(composition))


def assert_released(params, inputs, cells):
    """Check every number of a case against the rules in plain numbers."""
    ours = numbers_of(case_of(params, inputs, cells if "offline_loss_type" in params else ()))
    inside = torch.tensor(inputs["mask"]).bool()
    for name, theirs in expected(params, inputs, cells).items():
        found, theirs = ours[name], torch.as_tensor(theirs, dtype=torch.float64)
        if name in ("advantages", "returns"):
            found, theirs = found[inside], theirs[inside]
        gap = (found - theirs).abs() / (1.0 + theirs.abs())
        assert gap.max() <= 1e-9, f"{name}: {found} instead of {theirs}"
