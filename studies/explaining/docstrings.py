"""What docstrings say of parts and algorithms: equation, source, arguments, departures from a paper."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SECTIONS = ("Args:", "Returns:", "Raises:", "Attributes:", "Example:", "Examples:")
FULL = 98
"""Characters from which on a docstring's line counts as full."""
_STARTS = re.compile(r"See |Differs from [^:]+:")
_DEFINITION = re.compile(r"\S+ = \S")
_SYMBOLS = re.compile(r"[=≤≥<>∈·×√Σ∏∫|]| / ")


@dataclass(frozen=True)
class Docstring:
    """A docstring in pieces.

    Args:
        summary: Its first paragraph, in one line, without an equation after ":   ".
        equation: The formula it states, lines kept; "" where it states none.
        sources: Where the formula is from, one string a "See …".
        differs: What "Differs from …:" lines say, each with what it differs from ("the paper").
        arguments: The meaning of each argument.
    """

    summary: str
    equation: str
    sources: tuple[str, ...]
    differs: tuple[tuple[str, str], ...]
    arguments: dict[str, str]


def read_docstring(thing: object) -> Docstring:
    """Return what the docstring of a part, function or module says.

    An equation stands after ":   " in the summary; or is the summary itself up to its colon (π_ref = π_θ: …);
    or is the paragraph below the summary.
    """
    target = thing if inspect.ismodule(thing) or inspect.isroutine(thing) else type(thing)
    if isinstance(thing, type):
        target = thing
    text = inspect.cleandoc(target.__doc__ or "")
    body, arguments = _sections(text)
    paragraphs = [part for part in re.split(r"\n\s*\n", body) if part.strip()]
    if not paragraphs:
        return Docstring("", "", (), (), arguments)
    summary, equation = _equation(paragraphs)
    sources, differs = _remarks(paragraphs)
    return Docstring(summary, equation, sources, differs, arguments)


def module_of(function: Callable[..., Any]) -> object:
    """Return the module that a function was defined in."""
    return sys.modules[inspect.unwrap(function).__module__]


def _equation(paragraphs: list[str]) -> tuple[str, str]:
    first = paragraphs[0]
    said, colon, formula = first.partition(":   ")
    if colon:
        return _line(said) + ".", _closed(_line(formula))
    if _DEFINITION.match(first):
        return _line(first), _closed(_line(first).partition(": ")[0])
    below = paragraphs[1] if len(paragraphs) > 1 else ""
    stated = bool(_SYMBOLS.search(below)) and not _STARTS.match(below)
    return _line(first), _kept(below) if stated else ""


def _remarks(paragraphs: list[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the sources, and the departures from them."""
    sources: list[str] = []
    differs: list[tuple[str, str]] = []
    for paragraph in paragraphs:
        pieces: list[str] = []
        for line in paragraph.splitlines():
            if _STARTS.match(line.strip()) or not pieces:
                pieces.append(line)
            else:
                pieces[-1] += "\n" + line
        for piece in map(_line, pieces):
            if piece.startswith("See "):
                sources.append(piece.removeprefix("See "))
            elif found := re.match(r"Differs from ([^:]+): *(.*)", piece):
                differs.append((found.group(1), found.group(2)))
    return tuple(sources), tuple(differs)


def _sections(text: str) -> tuple[str, dict[str, str]]:
    """Return the text above the first section, and the entries of "Args:"."""
    lines = text.splitlines()
    starts = [index for index, line in enumerate(lines) if line.strip() in SECTIONS]
    body = "\n".join(lines[: starts[0]] if starts else lines)
    arguments: dict[str, str] = {}
    name = ""
    for start in starts:
        if lines[start].strip() != "Args:":
            continue
        for line in lines[start + 1 :]:
            if line.strip() and not line.startswith(" "):
                break
            entry = re.match(r" {4}(\w+): (.*)", line)
            if entry:
                name = entry.group(1)
                arguments[name] = entry.group(2)
            elif name and line.strip():
                arguments[name] += " " + line.strip()
    return body, arguments


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _closed(formula: str) -> str:
    """Return a formula without the sentence's full stop; an ellipsis stays."""
    return formula[:-1] if formula.endswith(".") and not formula.endswith("..") else formula


def _kept(paragraph: str) -> str:
    """Return a paragraph with its lines, but for breaks that only the width of the file made."""
    lines: list[str] = []
    length = 0
    for line in map(str.strip, paragraph.splitlines()):
        forced = length + 1 + len(line.split(" ")[0]) > FULL
        if lines and forced and not _DEFINITION.match(line):
            lines[-1] += " " + line
        else:
            lines.append(line)
        length = len(line)
    return "\n".join(re.sub(r" {4,}", "   ", line) for line in lines)
