"""One page of documentation for each registered algorithm, made of docstrings and of what is computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from algorithms import ALGORITHMS
from studies.explaining.departures import departures
from studies.explaining.explanation import Explanation, PartFacts, StageFacts, TermFacts
from studies.explaining.facts import explain, summary_of
from studies.explaining.names import compact, shallow
from studies.explaining.sentences import all_stages, formula_lines, settings_line, statements
from studies.explaining.subject import find_subject
from studies.explaining.table import markdown_row
from training.run_dir import write_atomically

COMMAND = "python -m studies.explain --docs docs/algorithms"
SCALE = "tiny"


def write_pages(folder: Path) -> Iterator[Path]:
    """Write the page of every registered algorithm, and their index; yield each file once it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ALGORITHMS:
        write_atomically(folder / f"{name}.md", page(name))
        yield folder / f"{name}.md"
    write_atomically(folder / "README.md", index())
    yield folder / "README.md"


def index() -> str:
    """Return the page that lists all others."""
    rows = [
        ("Algorithm", "What it is"),
        ("---", "---"),
        *((f"[`{name}`]({name}.md)", summary_of(function)) for name, function in ALGORITHMS.items()),
    ]
    lines = ["# Algorithms", "", f"Written by `{COMMAND}`.", "", *map(markdown_row, rows)]
    return "\n".join(lines) + "\n"


def page(name: str) -> str:
    """Return the page of a registered algorithm."""
    facts = explain(find_subject(name, SCALE))
    lines = [f"# {name}", "", facts.summary, "", f"    python -m studies.explain {name}", ""]
    for stage in all_stages(facts.stages):
        lines += _stage(stage)
    for section in (_arguments, _statements, _metrics, _departures, _sources):
        lines += section(facts)
    lines += [f"*Written by `{COMMAND}`, from docstrings and from what it computes.*"]
    return "\n".join(lines) + "\n"


def _stage(stage: StageFacts) -> list[str]:
    lines = [f"## {stage.title[:1].upper()}{stage.title[1:]}", ""] if stage.title else []
    for term in stage.terms:
        lines += _term(term)
    if stage.asked:
        rows = [("Asked of rollouts", "What it is"), ("---", "---")]
        rows += [(f"`{compact(part.value)}`", _meaning(part)) for part in stage.asked]
        lines += [*map(markdown_row, rows), ""]
    return lines


def _term(term: TermFacts) -> list[str]:
    lines = [f"### Term `{term.name}`", ""]
    if term.additive is not None:
        lines += [f"Additive: `{shallow(term.additive.value)}`. {_meaning(term.additive)}", ""]
    if term.formulas:
        lines += [*(f"    {line}" for line in formula_lines(term)), ""]
    rows = [("Part", "", "What it is"), ("---", "---", "---")]
    for part in _flat(term.parts):
        rows.append((part.role, f"`{compact(part.value)}`", _meaning(part)))
    if term.weight is not None and term.weight != 1.0:
        rows.append(("weight", f"`{term.weight:g}`", "Factor of the whole term."))
    return [*lines, *map(markdown_row, rows), ""]


def _flat(parts: tuple[PartFacts, ...]) -> Iterator[PartFacts]:
    """Yield parts, each followed by those that it holds."""
    for part in parts:
        yield part
        yield from _flat(part.inner)


def _meaning(part: PartFacts) -> str:
    said, equation = part.said.summary, part.said.equation
    if not equation or said.startswith(equation):
        return said
    return "<br>".join([said, *map(_code, equation.splitlines())])


def _code(line: str) -> str:
    """Return a line as code, which may hold backticks itself."""
    return f"`` {line} ``" if "`" in line else f"`{line}`"


def _arguments(facts: Explanation) -> list[str]:
    if not facts.arguments:
        return []
    rows = [("Argument", "Default", f"At scale {facts.scale}", "Meaning"), ("---",) * 4]
    for argument in facts.arguments:
        here = f"`{argument.value}`" if argument.value != argument.default else ""
        rows.append((f"`{argument.name}`", f"`{argument.default}`", here, argument.meaning))
    return ["## Arguments", "", *map(markdown_row, rows), ""]


def _statements(facts: Explanation) -> list[str]:
    lines = ["## Before any run", "", f"Computed under the settings of {settings_line(facts)}.", ""]
    for section in statements(facts):
        lines += [f"**{section.heading}**", "", *(f"- {line}" for line in section.lines), ""]
    return lines


def _metrics(facts: Explanation) -> list[str]:
    rows = [("Metric", "Meaning"), ("---", "---")]
    rows += [(f"`{name}`", meaning) for name, meaning in facts.metrics.items()]
    return ["## Logged metrics", "", *map(markdown_row, rows), ""]


def _departures(facts: Explanation) -> list[str]:
    lines: list[str] = []
    for section in departures(facts):
        lines += [f"## {section.heading}", "", *(f"- {line}" for line in section.lines), ""]
    return lines


def _sources(facts: Explanation) -> list[str]:
    if not facts.sources:
        return []
    return ["## Source", "", *(f"- {source}" for source in facts.sources), ""]
