"""What expected gradients amount to, measured by the true ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from studies.explaining.numbers import fraction, number
from studies.explaining.tabular import Table

TOLERANCE = 1e-9
TRIED = "on the small policies tried"
_POWERS = ((0, 1, -1, 2), (0, 1, -1), (0, 1, -1), (0, 1, -1))
"""Of n, n − 1, n + 1 and q in the factors that are told; n rollouts of a question, q questions of a step."""


@dataclass(frozen=True)
class Measured:
    """An expected gradient beside the true one.

    Args:
        table: The policy and the rewards.
        cosine: Of the angle between them; 0 where the expectation is 0.
        factor: Of the true gradient that is nearest to the expectation; 0 where that is 0.
        parallel: Whether nothing is left beside that.
    """

    table: Table
    cosine: float
    factor: float
    parallel: bool

    @property
    def is_zero(self) -> bool:
        """Whether there is no gradient in expectation."""
        return self.parallel and self.factor == 0.0


def verdict(measured: Sequence[Measured], resized: Callable[[], Sequence[Measured]] = tuple) -> str:
    """Return what the measurements amount to.

    Args:
        measured: With the number of rollouts that the verdict is for.
        resized: Returns measurements with others, for the formula of a factor.
    """
    there = [each for each in measured if not each.is_zero]
    if not there:
        return "no gradient in expectation"
    if len(there) == len(measured) and all(each.parallel for each in there):
        return _parallel(measured, resized())
    worst = min(each.cosine for each in there)
    said = f"cosine as low as {number(worst)} with the true gradient {TRIED}"
    if worst > 0.999:
        said = f"cosine above 0.999 with the true gradient {TRIED}{_span(there)}"
    return f"biased: {said}" + ("; no gradient on others" if len(there) < len(measured) else "")


def _span(measured: Sequence[Measured]) -> str:
    """Return from where to where factors reach, of steps with one question; nothing where they look alike."""
    factors = sorted(each.factor for each in measured if each.table.questions == 1)
    ends = dict.fromkeys(map(number, factors[:1] + factors[-1:]))
    return f", but by factors from {' to '.join(ends)}" if len(ends) > 1 else ""


def _parallel(measured: Sequence[Measured], resized: Sequence[Measured]) -> str:
    """Return the verdict on expectations that all are multiples of the true gradient."""
    if all(each.parallel and not each.is_zero for each in resized):
        found = _fitting([*measured, *resized], _POWERS)
        if found is not None:
            return _told(*found)
    # No formula fits other numbers of rollouts too; a plain factor may do for this one.
    found = _fitting(measured, ((0,), (0,), (0,), _POWERS[3]))
    if found is not None:
        return _told(*found, _where([each.table for each in measured]))
    return f"biased: parallel to the true gradient {TRIED}{_span(measured) or ', but by several factors'}"


def _where(tables: Sequence[Table]) -> str:
    """Return the only tables that something was found for."""
    samples = tables[0].samples
    said = f"with {samples} rollout{'s' if samples > 1 else ''} of a question"
    return said if any(table.questions > 1 for table in tables) else f"{said}, one question a step"


def _fitting(
    measured: Sequence[Measured], ranges: Sequence[Sequence[int]]
) -> tuple[float, tuple[int, ...]] | None:
    """Return a constant and powers that make up all factors; the simplest, None where none do."""
    for powers in sorted(product(*ranges), key=lambda powers: sum(map(abs, powers))):
        scales = [_scale(powers, each.table) for each in measured]
        if 0.0 in scales:
            continue
        constants = [each.factor / scale for each, scale in zip(measured, scales, strict=True)]
        if all(math.isclose(each, constants[0], rel_tol=TOLERANCE) for each in constants):
            return constants[0], powers
    return None


def _scale(powers: Sequence[int], table: Table) -> float:
    """Return the product of powers of n, n − 1, n + 1 and q; 0 where it is 0 or not defined."""
    n, q = table.samples, table.questions
    if n == 1 and powers[1]:
        return 0.0
    return math.prod(float(base) ** power for base, power in zip((n, n - 1, n + 1, q), powers, strict=True))


def _told(constant: float, powers: Sequence[int], where: str = "") -> str:
    """Return a factor in words, with what its letters mean."""
    words = [formula(powers)] if any(powers) else []
    if not words or not math.isclose(abs(constant), 1.0, rel_tol=TOLERANCE):
        words.append(fraction(abs(constant)))
    meant = [where] if where else []
    meant += ["n rollouts of a question"] if any(powers[:3]) else []
    meant += ["q questions of a step"] if powers[3] else []
    factor, meaning = " · ".join(words), f" ({', '.join(meant)})" if meant else ""
    if constant < 0:
        return f"descends: the expectation is the gradient times −{factor}{meaning}"
    return ("unbiased" if factor == "1" else f"unbiased up to the factor {factor}") + meaning


def formula(powers: Sequence[int]) -> str:
    """Return the product of powers of n, n − 1, n + 1 and q."""
    bases = ("n", "(n − 1)", "(n + 1)", "q")
    over = [base + ("²" if power > 1 else "") for base, power in zip(bases, powers, strict=True) if power > 0]
    under = [base for base, power in zip(bases, powers, strict=True) if power < 0]
    below = " · ".join(under)
    said = " · ".join(over) or "1"
    return f"{said}/{f'({below})' if len(under) > 1 else below}" if under else said
