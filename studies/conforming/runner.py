"""Cases against compositions: what is compared, how closely, and what comes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from studies.conforming import reference, trl, verl
from studies.conforming.cases import Case
from studies.conforming.composition import Composition, reproduce, reproduced_values
from studies.conforming.options import Inexpressible, OutOfScope

COMPOSE: dict[str, Callable[[Case], Composition]] = {
    "trl": trl.compose,
    "verl": verl.compose,
    "reference": reference.compose,
}

TOLERANCE = 1e-9
FLOAT32_TOLERANCE = 1e-5
"""Where a peer casts to float32 inside (tag float32)."""

BY_TOKEN = frozenset({"advantages", "returns"})
"""Compared at response tokens only: peers leave whatever their arithmetic makes at the others."""

LOGGED = frozenset({"clipfrac"}) | reference.LOGGED
"""What a peer reports beside its loss, no part of which enters a gradient."""


class Verdict(StrEnum):
    """What comes of a case."""

    PASS = "pass"
    MISMATCH = "MISMATCH"
    INEXPRESSIBLE = "CANNOT EXPRESS"
    OUT_OF_SCOPE = "out of scope"


REFUSALS = (ValueError, TypeError, RuntimeError, KeyError)
"""`Inexpressible`, a value that a part's own check refuses, or arrays that don't fit together."""

FAILING = frozenset({Verdict.MISMATCH, Verdict.INEXPRESSIBLE})


@dataclass(frozen=True)
class Result:
    """One case's row of the table."""

    name: str
    algorithm: str
    tags: tuple[str, ...]
    verdict: Verdict
    peer: str = ""
    """Whose numbers the case holds."""
    error: float | None = None
    """Largest |ours − theirs| / (1 + |theirs|) over all that is compared; None where nothing was."""
    where: str = ""
    """Which of the case's expectations it is the error of."""
    reason: str = ""


def run_case(case: Case) -> Result:
    """Return what comes of a case."""
    try:
        composition = COMPOSE[case.peer](case)
        found = reproduced_values(composition, reproduce(composition))
        errors = _errors(case, found)
    except OutOfScope as error:
        return _result(case, Verdict.INEXPRESSIBLE if _required(case) else Verdict.OUT_OF_SCOPE, str(error))
    except REFUSALS as error:
        return _result(case, Verdict.INEXPRESSIBLE, " ".join(str(error).split()))
    where = max(errors, key=lambda name: errors[name])
    tolerance = FLOAT32_TOLERANCE if "float32" in case.tags else TOLERANCE
    verdict = Verdict.PASS if errors[where] <= tolerance else Verdict.MISMATCH
    reason = "" if verdict is Verdict.PASS else f"{where} beyond {tolerance:g}"
    return dataclasses.replace(_result(case, verdict, reason), error=errors[where], where=where)


def _result(case: Case, verdict: Verdict, reason: str) -> Result:
    return Result(case.name, case.algorithm, case.tags, verdict, case.peer, reason=reason)


def _required(case: Case) -> bool:
    """Return whether the case's file asks for it: leaving it out on purpose is no excuse then."""
    return bool(case.tags) and "extended" not in case.tags


def _errors(case: Case, found: Mapping[str, Tensor]) -> dict[str, float]:
    errors = {}
    for name, theirs in case.expected.items():
        if name in found:
            errors[name] = _error(
                found[name], theirs, case.inputs["mask"].bool() if name in BY_TOKEN else None
            )
        elif name not in LOGGED:
            raise Inexpressible(f"expected {name} is nothing that this composition computes")
    return errors


def _error(ours: Tensor, theirs: Tensor, mask: Tensor | None) -> float:
    """Return the largest error; infinite where a shape differs or something is not a number."""
    ours = ours.detach().double()
    if mask is not None:
        if theirs.ndim == 1:
            theirs = theirs[:, None].expand_as(ours)
        ours, theirs = ours[mask], theirs[mask]
    if ours.shape != theirs.shape:
        return torch.inf
    gap = (ours - theirs).abs() / (1.0 + theirs.abs())
    return float(gap.nan_to_num(nan=torch.inf).max()) if gap.numel() else 0.0
