"""The statements about an algorithm, as headed lines: what text and pages have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from studies.explaining.behavior import is_stateful
from studies.explaining.dead import Dead
from studies.explaining.explanation import Explanation, StageFacts, TermFacts


class Section(NamedTuple):
    """A heading and its lines."""

    heading: str
    lines: tuple[str, ...]


def settings_line(facts: Explanation) -> str:
    """Return the training settings that the statements hold under."""
    settings = facts.settings
    updates = f"{settings.updates} update{'s' if settings.updates > 1 else ''} per rollout batch"
    return f"scale {facts.scale}: {settings.rollouts} of a question, {updates}, rewards of 0 and 1"


def all_stages(stages: Sequence[StageFacts]) -> Iterator[StageFacts]:
    """Yield stages, each followed by its side steps."""
    for stage in stages:
        yield stage
        if stage.aside is not None:
            yield stage.aside


def statements(facts: Explanation) -> tuple[Section, ...]:
    """Return what can be said before any run."""
    same = tuple(equal.text(facts.settings) for equal in facts.equals)
    for stage in facts.stages:
        same += tuple(f"{stage.label}: {equal.text(facts.settings)}" for equal in stage.equals)
    found = [
        Section("Same coefficients as", same or ("no other registered algorithm",)),
        Section("Settings that change nothing", dead_lines(facts) or ("none",)),
    ]
    sections = (
        ("On-policy, is the expectation the gradient of the expected reward?", _bias_lines),
        ("Largest |c_t / (w · Â)| of a token, at any staleness", _bound_lines),
        ("What gets a gradient, by how many of a question's rollouts are solved", _group_lines),
    )
    for heading, said in sections:
        lines: list[str] = []
        for stage in all_stages(facts.stages):
            prefix = f"{stage.label}: " if stage.label else ""
            lines += [prefix + line for line in said(stage, facts)]
        found.append(Section(heading, tuple(lines) or ("no term weighs a token's log-prob",)))
    return tuple(found)


def dead_lines(facts: Explanation) -> tuple[str, ...]:
    """Return the settings without effect, those with one reason together."""
    by_reason: dict[str, list[str]] = {}
    for dead in facts.examined.dead:
        by_reason.setdefault(dead.reason(facts.settings), []).append(_named(dead))
    lines = [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    if facts.examined.unvaried:
        names = ", ".join(facts.examined.unvaried)
        lines.append(f"not examined, since no other value could be tried: {names}")
    return tuple(lines)


def _named(dead: Dead) -> str:
    return f"{' and '.join(dead.labels)} ({dead.value})"


def _bias_lines(stage: StageFacts, facts: Explanation) -> list[str]:  # noqa: ARG001
    plan = stage.algorithm.rollouts
    said = stage.bias + ("; of rollouts without a prefix" if plan.prefix is not None else "")
    return [said + ("; before dynamic sampling" if plan.dynamic is not None else "")]


def _bound_lines(stage: StageFacts, facts: Explanation) -> list[str]:
    now = facts.settings.updates == 1
    said = [(term.name, term.bounds) for term in stage.terms]
    return [f"{name}: {bounds.text(on_policy=now)}" for name, bounds in said if bounds is not None]


def _group_lines(stage: StageFacts, facts: Explanation) -> list[str]:
    lines = list(stage.groups)
    if facts.settings.updates > 1:
        lines.append("that is so in the first update of a rollout batch")
    if stage.algorithm.rollouts.dynamic is not None:
        lines.append("dynamic sampling replaces questions of one reward before that")
    if is_stateful(stage.algorithm):
        lines.append("that is so in a first step; later ones depend on what was seen before")
    return lines


def formula_lines(term: TermFacts) -> tuple[str, ...]:
    """Return the term's coefficient, and what is left of it under the settings."""
    if len(term.formulas) < 2:
        return term.formulas
    return (term.formulas[0], f"under these settings {term.formulas[1]}")
