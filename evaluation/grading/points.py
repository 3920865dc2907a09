"""Compare expressions by their values at a few points, to many digits; runs in a worker only."""

from collections.abc import Iterator
from typing import Any

from sympy import (
    Basic,
    Derivative,
    Expr,
    Float,
    Integral,
    Limit,
    Pow,
    Rational,
    Sum,
    Symbol,
    binomial,
    ceiling,
    factorial,
    floor,
)  # fmt: skip
from sympy.core.function import AppliedUndef

from evaluation.grading.numbers import LEADING, SIX_DECIMALS

# Exact values that agree to so many digits are the same.
AGREE = Float("1e-25", 30)
DIGITS = 40
POINTS = 6
PARAMETERS = frozenset("klmn")
_OPAQUE = (Derivative, Integral, Limit, AppliedUndef)
_DISCRETE = (floor, ceiling, factorial, binomial)


def same_expression(left: Expr, right: Expr, *, decimal: bool) -> bool | None:
    """Return whether two expressions agree wherever both are real; None where that can't be computed."""
    left, right = _same_names(left, right)
    if left == right:
        return True
    left, right = with_names_for_opaque(left, right)
    left, right = (side.doit() if side.has(Sum) else side for side in (left, right))
    real: list[bool] = []
    other: list[bool] = []
    for point in points_for(left, right):
        pair = [value_at(side, point) for side in (left, right)]
        if None in pair:
            continue
        agree = _close(*pair, decimal=decimal)
        (real if all(value.is_real for value in pair) else other).append(agree)
        if False in real:
            return False
    enough = 1 if not (left.free_symbols | right.free_symbols) else 2
    if len(real) >= enough:
        return all(real)
    return all(other) if len(other) >= enough else None


def _same_names(left: Expr, right: Expr) -> tuple[Expr, Expr]:
    """Rename the one symbol by which two expressions differ, if its name means nothing.

    That is a letter in the other case, or the integer of a family of angles.
    """
    mine, theirs = left.free_symbols - right.free_symbols, right.free_symbols - left.free_symbols
    if len(mine) == len(theirs) == 1:
        (old,), (new,) = mine, theirs
        angles = {old.name, new.name} <= PARAMETERS and "pi" in f"{left}" and "pi" in f"{right}"
        if angles or old.name.casefold() == new.name.casefold():
            return left.subs(old, new), right
    return left, right


def with_names_for_opaque(left: Basic, right: Basic) -> tuple[Any, Any]:
    """Return both sides with a name for each part that has no value at a point, as f(x) or dy/dx."""
    parts = sorted(
        left.atoms(*_OPAQUE) | right.atoms(*_OPAQUE), key=lambda part: (-len(f"{part}"), f"{part}")
    )
    names = {part: Symbol(f"opaque_{i}", real=True) for i, part in enumerate(parts)}
    return left.xreplace(names), right.xreplace(names)


def points_for(*sides: Expr) -> Iterator[dict[Symbol, Any]]:
    """Yield points at which to compare: mixed signs, or integers where only those are meant."""
    symbols = sorted({symbol for side in sides for symbol in side.free_symbols}, key=str)
    discrete = any(side.has(*_DISCRETE) or _alternates(side) for side in sides)
    if not symbols:
        yield {}
        return
    for j in range(POINTS):
        if discrete:
            yield {
                symbol: Rational(1 + (7 * (len(symbols) - i) + 3 * j * (i + 1)) % 11)
                for i, symbol in enumerate(symbols)
            }
        else:
            yield {
                symbol: Rational((-1) ** (j * (i + 1)) * (11 + (37 * i + 101 * j) % 89), 50)
                for i, symbol in enumerate(symbols)
            }


def _alternates(side: Expr) -> bool:
    return any(power.base.is_negative and power.exp.free_symbols for power in side.atoms(Pow))


def value_at(side: Expr, point: dict[Symbol, Any]) -> Any:  # noqa: ANN401
    """Return the value of an expression at a point, None where it has no finite one."""
    value = side.evalf(DIGITS, subs=point) if point else side.evalf(DIGITS)
    return value if value.is_number and value.is_finite else None


def _close(left: Any, right: Any, *, decimal: bool) -> bool:  # noqa: ANN401
    gap, size = abs(left - right), max(abs(left), abs(right))
    if decimal:
        return bool(gap <= float(SIX_DECIMALS) and gap <= float(LEADING) * size)
    return bool(gap <= AGREE * size or (size < AGREE and 0 in (left, right)))
