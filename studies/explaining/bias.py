"""Whether the expectation of an estimator is the gradient of the expected reward: by enumeration."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from core import Algorithm, Term
from studies.explaining.asking import ask, total
from studies.explaining.behavior import is_stateful
from studies.explaining.conditions import GRADED
from studies.explaining.policies import resized, tables
from studies.explaining.probes import PROGRESS, probes
from studies.explaining.standing import same
from studies.explaining.tabular import PROGRESS as MOMENT
from studies.explaining.tabular import Table, expected_gradient
from studies.explaining.verdicts import TOLERANCE, Measured, verdict


@dataclass(frozen=True)
class Counted:
    """Which terms an expectation was taken of, by name, and which were left out.

    Args:
        counted: Those that reach what the policy sampled.
        given: Those that reach only what it was given: demonstrations and prefixes.
        idle: Those that train no token.
        additive: Those that are no policy gradients.
    """

    counted: tuple[str, ...]
    given: tuple[str, ...]
    idle: tuple[str, ...]
    additive: tuple[str, ...]

    def text(self) -> str:
        """Return what was counted and what was not."""
        left = [f"{name} (on given tokens)" for name in self.given]
        left += [f"{name} (trains no token)" for name in self.idle]
        left += [f"{name} (additive)" for name in self.additive]
        said = f"counted: {', '.join(self.counted)}" if self.counted else "no term on rollouts"
        return said + (f"; left out: {', '.join(left)}" if left else "")


@dataclass(frozen=True)
class Bias:
    """The verdict on an algorithm's terms on rollouts.

    Args:
        counted: Which terms.
        binary: What holds where rewards are 0 and 1.
        graded: What holds where they are not.
        only: When it holds, where it does not always.
    """

    counted: Counted
    binary: str = ""
    graded: str = ""
    only: str = ""

    def text(self) -> str:
        """Return the statement."""
        if not self.counted.counted:
            return self.counted.text()
        said = self.binary
        if self.binary != self.graded:
            said = f"{self.binary}, where rewards are 0 and 1; {self.graded}, where they are not"
        return f"{said}{self.only and '; ' + self.only} ({self.counted.text()})"


def find_bias(algorithm: Algorithm, samples: int) -> Bias:
    """Compare the expected with the true gradient of small policies, by enumeration of their rollouts.

    Args:
        algorithm: The estimator.
        samples: Rollouts of each question.
    """
    counted = counted_terms(algorithm, samples)
    if not counted.counted:
        return Bias(counted)
    binary, graded = (_judged(algorithm, counted.counted, samples, graded=graded) for graded in (False, True))
    if binary.startswith("biased") and graded.startswith("biased"):  # some policy that shows it is enough
        return Bias(counted, binary, graded)
    only = ["half-way through the run"] if _drifts(algorithm, samples) else []
    only += ["in a first step"] if is_stateful(algorithm) else []
    return Bias(counted, binary, graded, f"that is so {', '.join(only)}" if only else "")


def counted_terms(algorithm: Algorithm, samples: int) -> Counted:
    """Return which terms reach what the policy sampled: told by their weights on probes."""
    sampled: set[str] = set()
    reached: set[str] = set()
    for probe in probes(samples, frozenset({GRADED})):
        found = ask(algorithm, probe)
        rollout = ~found.step.is_demonstration[:, None]
        if found.step.prefix_mask is not None:
            rollout = rollout & ~found.step.prefix_mask
        for term, plan in zip(algorithm.terms, found.plan.plans, strict=True):
            if bool((plan.weight != 0).any()):
                reached.add(term.name)
            if bool((rollout & (plan.weight != 0)).any()):
                sampled.add(term.name)
    gradients = [term.name for term in algorithm.terms if isinstance(term, Term)]
    return Counted(
        tuple(name for name in gradients if name in sampled),
        tuple(name for name in gradients if name in reached - sampled),
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


def _judged(algorithm: Algorithm, names: Sequence[str], samples: int, *, graded: bool) -> str:
    return verdict(
        [measure(algorithm, names, table) for table in tables(samples, graded=graded)],
        lambda: [measure(algorithm, names, table) for table in resized(samples, graded=graded)],
    )


def _drifts(algorithm: Algorithm, samples: int) -> bool:
    """Return whether coefficients of a step depend on when in the run it is taken."""
    probe = probes(samples, frozenset({GRADED}))[0]
    found = []
    for progress in (MOMENT, *PROGRESS):
        step = dataclasses.replace(probe, step=dataclasses.replace(probe.step, progress=progress))
        found.append(total(ask(algorithm, step), step))
    return not all(same(found[0], other) for other in found)
