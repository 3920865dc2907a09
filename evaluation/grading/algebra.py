"""Compare two values, equations or sets by computer algebra; runs in a worker only."""

import re
from fractions import Fraction
from typing import Any

from sympy import Add, Eq, Expr, Intersection, Rational, Set, Union, fraction, together
from sympy.logic.boolalg import Boolean

from evaluation.grading.numbers import is_decimal, plain_number, rounds_to, scaled
from evaluation.grading.points import (
    AGREE,
    DIGITS,
    points_for,
    same_expression,
    value_at,
    with_names_for_opaque,
)  # fmt: skip
from evaluation.grading.reading import expression, verified


def same_value(answer: str, gold: str, settings: dict[str, Any], scales: tuple[Fraction, Fraction]) -> bool:
    """Return whether an answer equals a gold, each times its scale; the order is fixed here."""
    left, right = expression(answer), expression(gold)
    if left is None or right is None:
        return False
    if isinstance(left, Expr) and isinstance(right, Expr):
        left, right = (
            side if scale == 1 else side * Rational(scale.numerator, scale.denominator)
            for side, scale in zip((left, right), scales, strict=True)
        )
        if left == right:
            return True
        number = plain_number(gold) if not (is_decimal(answer) or left.free_symbols) else None
        if number and _rounds(left, scaled(number, scales[1])):
            return True
        decided = same_expression(left, right, decimal=is_decimal(answer) or is_decimal(gold))
        return verified(left, right, settings) if decided is None else decided
    if isinstance(left, Eq | Expr) and isinstance(right, Eq | Expr):
        return _same_equation(*with_names_for_opaque(left, right))
    return verified(left, right, settings)


def _rounds(exact: Expr, gold: Any) -> bool:  # noqa: ANN401
    value = exact.evalf(DIGITS)
    return bool(value.is_Float or value.is_Rational) and rounds_to(
        Fraction(str(Rational(value))), gold, irrational=exact.is_rational is False
    )


def _same_equation(left: Any, right: Any) -> bool:  # noqa: ANN401
    """Return whether an answer agrees with a gold, where one of them is an equation or both are."""
    if not all(
        isinstance(part, Expr) for side in (left, right) if isinstance(side, Eq) for part in side.args
    ):
        return bool(left == right)
    if isinstance(left, Eq) and isinstance(right, Eq):
        return _proportional(left.lhs - left.rhs, right.lhs - right.rhs)
    if isinstance(left, Eq):
        return _names_its_right(left) and same_expression(left.rhs, right, decimal=False) is True
    named = _names_its_right(right) and same_expression(left, right.rhs, decimal=False) is True
    return named or _solves(left, right.lhs - right.rhs)


def _names_its_right(equation: Eq) -> bool:
    """Return whether an equation gives its right side a name, or states a true equality of numbers."""
    if equation.lhs.is_number:
        return bool(equation.rhs.is_number) and same_expression(*equation.args, decimal=False) is True
    return not isinstance(equation.lhs, Add)


def _solves(answer: Expr, gold: Expr) -> bool:
    """Return whether an expression is the solution of an equation for the one symbol that it does not hold.

    The equation must be linear in that symbol, so that there is no other solution.
    """
    missing = gold.free_symbols - answer.free_symbols
    if len(missing) != 1 or not answer.free_symbols <= gold.free_symbols:
        return False
    (symbol,) = missing
    if symbol in gold.diff(symbol).free_symbols:
        return False
    put_in = gold.subs(symbol, answer)
    zeros = [value_at(put_in, point) for point in points_for(gold)]
    return all(zero is not None and abs(zero) < AGREE for zero in zeros)


def _proportional(answer: Expr, gold: Expr) -> bool:
    answer, gold = (fraction(together(side))[0] for side in (answer, gold))
    if answer.free_symbols != gold.free_symbols:
        return False
    ratios = []
    for point in points_for(answer, gold):
        pair = [value_at(side, point) for side in (answer, gold)]
        if None not in pair and abs(pair[1]) > AGREE:
            ratios.append(pair[0] / pair[1])
    close = (abs(ratio - ratios[0]) <= AGREE * abs(ratio) for ratio in ratios)
    return len(ratios) > 2 and abs(ratios[0]) > AGREE and all(close)


def same_set(answer: str, gold: str, settings: dict[str, Any]) -> bool:
    """Return whether two texts describe the same set of numbers."""
    left, right = expression(answer), expression(gold)
    return left is not None and right is not None and verified(left, right, settings)


def described_alike(conditions: list[str], joined: str, other: str) -> bool:
    """Return whether conditions on one unknown, joined by "or" or else all in force, describe a set."""
    sets = [_as_set(expression(text)) for text in (*conditions, other)]
    if None in sets:
        return False
    *parts, whole = sets
    return bool((Union if re.search(r"\bor\b", joined) else Intersection)(*parts) == whole)


def _as_set(read: Any) -> Any:  # noqa: ANN401
    if isinstance(read, Eq) and isinstance(read.rhs, Set):
        return read.rhs
    univariate = isinstance(read, Boolean) and len(read.free_symbols) == 1
    return read.as_set() if univariate else read if isinstance(read, Set) else None
