"""Read the outer structure of a rewritten answer: lists, sets, tuples, intervals, vectors and labels."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

Kind = Literal["leaf", "list", "set", "group", "matrix"]

_SEPARATOR = re.compile(
    r"[,;]\s*(?:(?:\\text\{)?\s*\b(?:and|or)\b\s*\}?)?|\\text\{\s*,?\s*(?:and|or)\s*\}"
    r"|(?<![\\a-zA-Z])(?:and|or)(?![a-zA-Z])"
)
_TOKEN = re.compile(rf"{_SEPARATOR.pattern}|\\[{{}}]|\\[lr]angle|\\[a-zA-Z]+|\\.|[][(){{}}]", re.DOTALL)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_OPENERS = {"(": ")", "[": "]", "\\{": "\\}", "\\langle": "\\rangle", "{": "}"}
_CLOSERS = {")", "]", "\\}", "\\rangle", "}"}
_MATRIX = re.compile(
    r"\\begin\{([pbB]?matrix|array)\}(?:\{[clr|]*\})?((?:(?!\\begin).)*)\\end\{\1\}", re.DOTALL
)

_INDEX = r"(?:_(?:\{[^{}]*\}|\w|\\[a-z]+))?(?:\^\{?\\prime\}?|')*"
_NAME = rf"(?:[A-Za-z]{_INDEX}|\\[a-z]+(?![a-z]){_INDEX}|\\angle\s*[A-Z]{{1,3}})"
CALL = rf"{_NAME}\s*(?:\(\s*[^()=]*\))?"
_LABEL = re.compile(
    rf"\s*((?:{CALL}|\(\s*{CALL}(?:\s*,\s*{CALL})*\s*\)))\s*(?:=|\\in(?![a-z])|\\approx(?![a-z]))\s*([^=<>]+)",
    re.DOTALL,
)
_NO_LABEL = re.compile(r"\\(?:frac|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|arc\w+|pi|infty|text|binom|pm|mp)")
_OPEN_TEXT = r"\s*[,;]?\s*(?:\\text\{\s*,?\s*)?(?<![a-zA-Z])"
_TO_THE_END = r"\b(?:(?!\b(?:and|or)\b|=).)*$"
_QUANTIFIERS = "all|any|every|each|some|arbitrary|integers?|positive|real"
_CLAUSES = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"{_OPEN_TEXT}(?:where|for (?:{_QUANTIFIERS})){_TO_THE_END}",
        r"(?<=\S)(?:\s|,)+\([^()]*(?:[<>]|\\(?:leq|geq|neq|in)(?![a-z]))[^()]*\)$",
        rf"{_OPEN_TEXT}with (?=.*(?:integer|constant|real|arbitrary|\\in)){_TO_THE_END}",
        rf"{_OPEN_TEXT}is (?:both )?an? .*$",
        r"[,;]?\s*\(?\s*[a-z]\s*\\in\s*(?:\\mathbb\s*\{?[NZQR]\}?|[NZQR])(?:[_^]\S+)?\s*\)?$",
    )
)
_APPROXIMATELY = re.compile(r"(?<=\S)\s*(?:\\approx(?![a-z])|\\simeq).*$", re.DOTALL)
_JUST_A_NAME = re.compile(CALL)
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![a-z])")


class Node(NamedTuple):
    """One piece of an answer.

    Args:
        kind: A leaf is a value, a relation or anything else; a group is a tuple or an interval.
        text: As it stands, without its label.
        items: What it is made of, in order; for a matrix, its rows.
        brackets: Of a group, such as "[)".
        label: The name that it is given, as in `x = 5`; "" for none.
    """

    kind: Kind
    text: str
    items: tuple["Node", ...] = ()
    brackets: str = ""
    label: str = ""


def read(text: str, *, thousands: bool = True) -> Node:
    """Return the structure of a text; a comma before three digits is no separator if `thousands`."""
    text = without_clause(text.strip())
    parts = [part for part in split(text, thousands=thousands) if part.strip()]
    if len(parts) == 1 and parts[0] == text:
        parts = _plus_minus(text)
    if len(parts) > 1:
        return Node("list", text, _flat(read(part, thousands=thousands) for part in parts))
    return _read_one(text, thousands=thousands)


def without_clause(text: str) -> str:
    """Return a text without what it says about its own names, as in `n^2 for all n`."""
    short = text
    for clause in _CLAUSES:
        short = clause.sub("", short)
    short = short.strip()
    exact = _APPROXIMATELY.sub("", short)
    return (short if _JUST_A_NAME.fullmatch(exact) else exact) or text


def split(text: str, *, thousands: bool = True) -> list[str]:
    """Return the parts between the separators that stand outside all brackets."""
    kept = {match.start() + i for match in _THOUSANDS.finditer(text) for i in range(len(match[0]))}
    parts, begin = [], 0
    stack: list[str] = []
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in _OPENERS:
            stack.append(word)
        elif word in _CLOSERS:
            if stack:
                stack.pop()
        elif not stack and _SEPARATOR.fullmatch(word) and not (thousands and token.start() in kept):
            parts.append(text[begin : token.start()].strip())
            begin = token.end()
    return [*parts, text[begin:].strip()]


def _flat(nodes: Iterable[Node]) -> tuple[Node, ...]:
    out: list[Node] = []
    for node in nodes:
        out += node.items if node.kind == "list" else [node]
    return tuple(out)


def _plus_minus(text: str) -> list[str]:
    if not _PLUS_MINUS.search(text) or ("=" in text and not _LABEL.fullmatch(text)):
        return [text]
    upper = _PLUS_MINUS.sub(lambda match: "+" if match[1] == "pm" else "-", text)
    lower = _PLUS_MINUS.sub(lambda match: "-" if match[1] == "pm" else "+", text)
    return [upper, lower]


def _read_one(text: str, *, thousands: bool) -> Node:
    labelled = _LABEL.fullmatch(text)
    if labelled and not _NO_LABEL.match(labelled[1].strip()):
        node = _read_one(labelled[2].strip(), thousands=thousands)
        return node._replace(label=node.label or labelled[1].strip())
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [row for row in re.split(r"\\\\", matrix[2]) if row.strip(" \\\n")]
        cells = tuple(Node("list", row, tuple(map(read, row.split("&")))) for row in rows)
        return Node("matrix", text, cells)
    opener, closer = _enclosed(text)
    if not opener:
        return Node("leaf", text)
    inner = text[len(opener) : len(text) - len(closer)]
    parts = split(inner, thousands=False)
    if opener == "{":
        return read(inner, thousands=thousands)
    if opener == "\\{":
        return Node("set", text, _flat(read(part, thousands=False) for part in parts if part))
    if len(parts) == 1 and parts[0]:
        return read(inner) if opener + closer in ("()", "[]") else Node("leaf", text)
    brackets = "()" if opener == "\\langle" else opener + closer
    return Node("group", text, tuple(read(part, thousands=False) for part in parts), brackets)


def _enclosed(text: str) -> tuple[str, str]:
    """Return the bracket that opens a text and the one that closes it at its end; "" for none."""
    stack: list[str] = []
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in _OPENERS:
            if not stack and token.start() > 0:
                return "", ""
            stack.append(word)
        elif word in _CLOSERS and stack:
            opener = stack.pop()
            if not stack:
                fits = word == _OPENERS[opener] or {opener, word} <= {"(", ")", "[", "]"}
                return (opener, word) if fits and token.end() == len(text) else ("", "")
    return "", ""
