"""Whether the expectation of an estimator is the gradient of the expected reward: by enumeration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from core import Algorithm, Term
from studies.explaining.behavior import ask
from studies.explaining.conditions import RELAXATIONS
from studies.explaining.numbers import fraction, number
from studies.explaining.probes import probes
from studies.explaining.tabular import Table, expected_gradient

TOLERANCE = 1e-9
BINARY = (
    Table(((0.0, 1.0, 0.0, 1.0),), samples=2, tilt=-0.4),
    Table(((1.0, 0.0, 1.0, 0.0),), samples=3),
    Table(((0.0, 1.0, 0.0), (1.0, 0.0, 1.0)), samples=2, tilt=0.3),
    Table(((0.0, 1.0), (1.0, 0.0)), samples=3, tilt=0.5),
    Table(((0.0, 1.0), (1.0, 0.0)), samples=6, tilt=-1.2),
)
GRADED = (
    Table(((0.2, 1.0, -0.5, 0.6),), samples=2, tilt=-0.5),
    Table(((1.0, 0.0, 3.0, 0.4),), samples=3),
    Table(((0.0, 1.0, 0.4), (1.0, -0.7, 0.5)), samples=2, tilt=0.3),
    Table(((0.1, 1.0), (2.0, 0.7)), samples=3, tilt=0.5),
    Table(((0.1, 1.0), (1.0, -0.6)), samples=6, tilt=-1.2),
)
_POWERS = ((0, 1, -1, 2), (0, 1, -1), (0, 1, -1), (0, 1, -1))
"""Of n, n − 1, n + 1 and q in the factors that are told; n rollouts of a question, q questions of a step."""


@dataclass(frozen=True)
class Measured:
    """An expected gradient beside the true one.

    Args:
        table: The policy and the rewards.
        cosine: Of the angle between them; 0 where the expectation is 0.
        factor: Of the true gradient that is nearest to the expectation.
        parallel: Whether nothing is left beside that.
    """

    table: Table
    cosine: float
    factor: float
    parallel: bool


@dataclass(frozen=True)
class Counted:
    """Which terms an expectation was taken of, by name, and which were left out."""

    counted: tuple[str, ...]
    given: tuple[str, ...]
    additive: tuple[str, ...]

    def text(self) -> str:
        """Return what was counted and what was not."""
        left = [f"{name} (on given tokens)" for name in self.given]
        left += [f"{name} (additive)" for name in self.additive]
        said = f"counted: {', '.join(self.counted)}" if self.counted else "no term on rollouts"
        return said + (f"; left out: {', '.join(left)}" if left else "")


def counted_terms(algorithm: Algorithm) -> Counted:
    """Return which terms reach what the policy sampled: told by their weights on probes."""
    reached: set[str] = set()
    for probe in probes(3, frozenset(RELAXATIONS)):
        found = ask(algorithm, probe)
        rollout = ~found.step.is_demonstration[:, None]
        if found.step.prefix_mask is not None:
            rollout = rollout & ~found.step.prefix_mask
        for term, plan in zip(algorithm.terms, found.plan.plans, strict=True):
            if bool((rollout & (plan.weight != 0)).any()):
                reached.add(term.name)
    gradients = [term.name for term in algorithm.terms if isinstance(term, Term)]
    return Counted(
        tuple(name for name in gradients if name in reached),
        tuple(name for name in gradients if name not in reached),
        tuple(term.name for term in algorithm.terms if term.name not in gradients),
    )


def measure(algorithm: Algorithm, names: Sequence[str], table: Table) -> Measured:
    """Return the expected gradient of some terms, measured by the true one."""
    indices = [index for index, term in enumerate(algorithm.terms) if term.name in names]
    expected, true = expected_gradient(algorithm, table, indices), table.true_gradient()
    norm, length = float(expected.norm()), float(true.norm())
    inner = float((expected * true).sum())
    factor = inner / length**2
    if norm <= TOLERANCE * length:
        return Measured(table, 0.0, 0.0, parallel=True)
    rest = float((expected - factor * true).norm())
    return Measured(table, inner / (norm * length), factor, rest <= TOLERANCE * norm)


def verdict(measured: Sequence[Measured]) -> str:
    """Return what the measurements amount to."""
    if all(each.parallel and each.factor == 0.0 for each in measured):
        return "no gradient in expectation"
    if all(each.parallel and each.factor != 0.0 for each in measured):
        return _parallel(measured)
    worst = min(each.cosine for each in measured)
    said = "above 0.999" if worst > 0.999 else number(worst)
    return f"biased: cosine {said} with the true gradient at worst"


def _parallel(measured: Sequence[Measured]) -> str:
    for powers in sorted(product(*_POWERS), key=lambda powers: sum(map(abs, powers))):
        constants = [each.factor / _product(powers, each.table) for each in measured]
        if all(math.isclose(each, constants[0], rel_tol=TOLERANCE) for each in constants):
            return _factor(constants[0], powers)
    factors = [each.factor for each in measured]
    span = f"{number(min(factors))} to {number(max(factors))}"
    return f"biased: parallel to the true gradient, but by factors from {span}"


def _product(powers: Sequence[int], table: Table) -> float:
    n, q = table.samples, table.questions
    return math.prod(float(base) ** power for base, power in zip((n, n - 1, n + 1, q), powers, strict=True))


def _factor(constant: float, powers: Sequence[int]) -> str:
    words = [formula(powers)] if any(powers) else []
    if not words or not math.isclose(constant, 1.0, rel_tol=TOLERANCE):
        words.append(fraction(constant))
    if words == ["1"]:
        return "unbiased"
    meant = ["n rollouts of a question"] if any(powers[:3]) else []
    meant += ["q questions of a step"] if powers[3] else []
    return f"unbiased up to the factor {' · '.join(words)}" + (f" ({', '.join(meant)})" if meant else "")


def formula(powers: Sequence[int]) -> str:
    """Return the product of powers of n, n − 1, n + 1 and q."""
    bases = ("n", "(n − 1)", "(n + 1)", "q")
    over = [base + ("²" if power > 1 else "") for base, power in zip(bases, powers, strict=True) if power > 0]
    under = [base for base, power in zip(bases, powers, strict=True) if power < 0]
    below = " · ".join(under)
    said = " · ".join(over) or "1"
    return f"{said}/{f'({below})' if len(under) > 1 else below}" if under else said


@dataclass(frozen=True)
class Bias:
    """The verdict on an algorithm's terms on rollouts."""

    counted: Counted
    binary: str = ""
    graded: str = ""

    def text(self) -> str:
        """Return the statement."""
        if not self.counted.counted:
            return self.counted.text()
        said = self.binary
        if self.binary != self.graded:
            said = f"{self.binary}, where rewards are 0 and 1; {self.graded}, where they are not"
        return f"{said} ({self.counted.text()})"


def find_bias(algorithm: Algorithm) -> Bias:
    """Compare the expected with the true gradient of small policies, by enumeration of their rollouts."""
    counted = counted_terms(algorithm)
    if not counted.counted:
        return Bias(counted)
    found = [[measure(algorithm, counted.counted, table) for table in tables] for tables in (BINARY, GRADED)]
    binary, graded = map(verdict, found)
    return Bias(counted, binary, graded)
