"""An explanation as plain text, 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from studies.explaining.departures import departures
from studies.explaining.explanation import Explanation, PartFacts, StageFacts, TermFacts
from studies.explaining.names import outline, shallow
from studies.explaining.numbers import number
from studies.explaining.sentences import Section, formula_lines, settings_line, statements

WIDTH = 100
ROLE = 14
INDENT = 2


def as_text(facts: Explanation) -> str:
    """Return the explanation, without a newline at its end."""
    lines = [*_wrapped(f"{facts.name}: {facts.summary}", "")]
    for section in _about(facts):
        lines += _section(section)
    seen: set[str] = set()
    for stage in facts.stages:
        lines += _stage(stage, seen)
    for section in departures(facts):
        lines += _section(section)
    lines += ["", *_wrapped(f"Before any run, at {settings_line(facts)}", "")]
    for section in statements(facts):
        lines += ["", f"  {section.heading}"]
        for line in section.lines:
            lines += _wrapped(line, "    ", "      ")
    return "\n".join(lines)


def _about(facts: Explanation) -> Iterator[Section]:
    if facts.arguments:
        names = max(len(argument.name) for argument in facts.arguments)
        values = max(len(str(argument.value)) for argument in facts.arguments)
        yield Section(
            "Arguments",
            tuple(f"{a.name:{names}}  {a.value!s:{values}}  {a.meaning}".rstrip() for a in facts.arguments),
        )
    if facts.swapped:
        yield Section("Parts swapped", tuple(f"{path} = {part}" for path, part in facts.swapped))
    if facts.sources:
        yield Section("Source", facts.sources)


def _section(section: Section) -> Iterator[str]:
    yield ""
    yield section.heading
    for line in section.lines:
        hanging = 2 + len(line) - len(line.split("  ")[-1].lstrip()) if "  " in line else 4
        yield from _wrapped(line, "  ", " " * hanging)


def _stage(stage: StageFacts, seen: set[str]) -> Iterator[str]:
    if stage.title:
        yield ""
        yield from _wrapped(stage.title[:1].upper() + stage.title[1:], "")
    for term in stage.terms:
        yield from _term(term, seen)
    if stage.asked:
        yield ""
        yield "Rollouts"
        for part in stage.asked:
            yield from _part(part, "  ", seen)
    if stage.aside is not None:
        yield from _stage(stage.aside, seen)


def _term(term: TermFacts, seen: set[str]) -> Iterator[str]:
    yield ""
    if term.additive is not None:
        yield f"Term {term.name} (additive)"
        yield from _wrapped(shallow(term.additive.value), "  ", "    ")
        yield from _said(term.additive, "  ")
    else:
        yield f"Term {term.name}"
    for part in term.parts:
        yield from _part(part, "  ", seen)
    if term.weight is not None:
        yield f"  {'weight':{ROLE}}{number(term.weight)}"
    for place, line in enumerate(formula_lines(term)):
        yield from _wrapped(line, f"  {'coefficient' if not place else '':{ROLE}}", " " * (ROLE + 4))


def _part(part: PartFacts, indent: str, seen: set[str]) -> Iterator[str]:
    """Yield the part, what it is, its equation and what it holds; after the first time, only the equation."""
    below = " " * (len(indent) + ROLE)
    yield from _wrapped(outline(part.value), f"{indent}{part.role:{ROLE}}", below + "  ")
    if repr(part.value) in seen:
        if len(indent) == INDENT:
            yield from _equation(part, below)
        return
    seen.add(repr(part.value))
    yield from _said(part, below)
    for inner in part.inner:
        yield from _part(inner, indent + "  ", seen)


def _said(part: PartFacts, indent: str) -> Iterator[str]:
    if part.said.summary:
        yield from _wrapped(part.said.summary, indent + "  ")
    if not part.said.summary.startswith(part.said.equation or " "):
        yield from _equation(part, indent)


def _equation(part: PartFacts, indent: str) -> Iterator[str]:
    for line in part.said.equation.splitlines():
        yield from _wrapped(line, indent + "  ", indent + "    ")


def _wrapped(text: str, indent: str, hanging: str | None = None) -> Iterable[str]:
    """Return the text in lines of at most the width, where words are short enough."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [indent.rstrip()]
