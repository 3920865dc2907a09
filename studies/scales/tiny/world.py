"""Arithmetic problems with worked solutions, digit by digit, and the mistakes that a weak policy makes.

Addition is what post-training sees, in tiers by number of digits; subtraction is left out of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Operation = Literal["+", "-"]


@dataclass(frozen=True)
class Problem:
    """Two numbers of equally many digits, the left one not smaller where they are subtracted."""

    left: int
    operation: Operation
    right: int

    @property
    def text(self) -> str:
        """The question."""
        return f"{self.left}{self.operation}{self.right}"

    @property
    def answer(self) -> int:
        """The right answer."""
        return self.left + self.right if self.operation == "+" else self.left - self.right

    @property
    def digits(self) -> int:
        """Of each number."""
        return len(str(self.left))

    @property
    def carries(self) -> int:
        """How many columns carry into the next one, or borrow from it."""
        powers = [10**place for place in range(1, self.digits)]
        if self.operation == "+":
            return sum(self.left % power + self.right % power >= power for power in powers)
        return sum(self.left % power < self.right % power for power in powers)


@dataclass(frozen=True)
class Mistakes:
    """Chances of a mistake in one column of the working; what follows is worked out from it.

    Args:
        slip: The column's result ends in a random digit.
        lapse: A carry or borrow into the column is forgotten.
        misread: From the fourth column on, the digit before is read in place of the right number's own.
    """

    slip: float = 0.0
    lapse: float = 0.0
    misread: float = 0.0


NO_MISTAKES = Mistakes()


def draw_problem(rng: random.Random, operation: Operation, digits: int) -> Problem:
    """Return a problem of two numbers of `digits` digits in which at least half of the columns carry."""
    low, high = 10 ** (digits - 1), 10**digits - 1
    while True:
        left, right = rng.randint(low, high), rng.randint(low, high)
        if operation == "-":
            left, right = max(left, right), min(left, right)
        problem = Problem(left, operation, right)
        if problem.carries >= digits // 2:
            return problem


def worked_solution(problem: Problem, mistakes: Mistakes, rng: random.Random) -> str:
    """Return the working, column by column from the right, and the boxed answer it comes to.

    15-8=7 means that the column borrows; a trailing +1 or -1 is what the column before carried.
    """
    column = _added if problem.operation == "+" else _subtracted
    left = [int(digit) for digit in reversed(str(problem.left))]
    right = [int(digit) for digit in reversed(str(problem.right))]
    working, digits, carry = [], [], 0
    for place, (upper, lower) in enumerate(zip(left, right, strict=True)):
        if place >= 3 and rng.random() < mistakes.misread:
            lower = right[place - 1]
        if carry and rng.random() < mistakes.lapse:
            carry = 0
        last = place == len(left) - 1
        slip = rng.randint(0, 9) if rng.random() < mistakes.slip else None
        step, digit, carry = column(upper, lower, carry, last, slip)
        working.append(step)
        digits.append(digit)
    number = int("".join(str(digit) for digit in reversed(digits)))
    return " ".join(working) + f"\\boxed{{{number}}}"


def _added(upper: int, lower: int, carry: int, last: bool, slip: int | None) -> tuple[str, int, int]:
    """Return a column of an addition as text, its digit (both, in the last column), and its carry."""
    total = upper + lower + carry
    if slip is not None:
        total += slip - total % 10
    step = f"{upper}+{lower}{'+1' if carry else ''}={total}"
    return step, total if last else total % 10, total // 10


def _subtracted(upper: int, lower: int, borrow: int, last: bool, slip: int | None) -> tuple[str, int, int]:
    """Return a column of a subtraction as text, its digit, and what it borrows."""
    borrows = upper - lower - borrow < 0 and not last
    top = upper + 10 * borrows
    # A mistake before can make the last column negative; it is worked as nothing left.
    digit = max(0, top - lower - borrow) if slip is None else slip
    return f"{top}-{lower}{'-1' if borrow else ''}={digit}", digit, int(borrows)
