"""Compare the names that an answer and a gold give to their values, as in `x = 5` or `f(t) = 2t`."""

import re

from evaluation.grading.notation import comparable
from evaluation.grading.structure import CALL, Node

_TUPLE = re.compile(rf"\(\s*({CALL}(?:\s*,\s*{CALL})*)\s*\)")
_FUNCTION = re.compile(r"([A-Za-z])\s*\(\s*([a-z])\s*\)")
_INDEX = re.compile(r"_.*$", re.DOTALL)


def name_tuple(label: str) -> list[str]:
    """Return the names in a label such as (x, y); [] for a single name."""
    match = _TUPLE.fullmatch(label.strip())
    return [name.strip() for name in match[1].split(",")] if match and "," in match[1] else []


def values_under_names(answer: Node, gold: Node) -> tuple[str, str] | None:
    """Return the texts that are left to compare, None where two different names rule equality out.

    A name on one side alone is dropped, unless the other side is an equation, which may hold it.
    """
    mine, theirs = answer.text, gold.text
    if bool(answer.label) != bool(gold.label) and "=" in mine + theirs:
        return _with_label(answer), _with_label(gold)
    if not (answer.label and gold.label):
        return mine, theirs
    if _is_graph(answer.label, gold.label) or _is_graph(gold.label, answer.label):
        return mine, theirs
    functions = _FUNCTION.fullmatch(answer.label.strip()), _FUNCTION.fullmatch(gold.label.strip())
    if functions[0] and functions[1] and functions[0][1] == functions[1][1]:
        return _renamed(mine, functions[0][2], functions[1][2]), theirs
    return (mine, theirs) if _same_name(answer.label, gold.label) else None


def _is_graph(left: str, right: str) -> bool:
    """Return whether one name is y and the other that of a function of x."""
    function = _FUNCTION.fullmatch(right.strip())
    return left.strip() == "y" and function is not None and function[2] == "x"


def _with_label(node: Node) -> str:
    return f"{node.label}={node.text}" if node.label else node.text


def _same_name(left: str, right: str) -> bool:
    """Return whether two names are one; an index that only one of them has is left out."""
    names = [comparable(label) for label in (left, right)]
    if ("_" in names[0]) != ("_" in names[1]):
        names = [_INDEX.sub("", name) for name in names]
    return names[0] == names[1]


def _renamed(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![\\a-zA-Z]){old}(?![a-zA-Z])", new, text)
