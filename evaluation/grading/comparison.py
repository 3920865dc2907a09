"""Compare an answer with a gold piece by piece; values go to the algebra, in a worker only."""

import re
from typing import Any

from evaluation.grading.algebra import described_alike, same_set
from evaluation.grading.extraction import last_box
from evaluation.grading.names import name_tuple, values_under_names
from evaluation.grading.notation import comparable, rewrite
from evaluation.grading.outcomes import Verdict
from evaluation.grading.quantities import Settings, is_value, same_text
from evaluation.grading.reading import found_in
from evaluation.grading.structure import Node, read
from evaluation.grading.words import same_words, words_of

# Characters reported of an answer found in a text; it keeps a reply within an atomic write.
FOUND = 300

_RELATION = re.compile(r"[<>]|\\(?:leq|geq|neq|cup|cap|setminus|mathbb|in|lt|gt|backslash)(?![a-z])|\\infty")

# One of each notation: the parser learns its grammar while it reads.
_SAMPLES = (
    (r"\frac{\sqrt{2}+x}{3y}-\frac{1}{2}", r"2 \cdot x^{2}+1.5(y-1)^3 / z_{1}"),
    (r"(-\infty, \sqrt[3]{2}] \cup [2,3)", r"1 < x \leq 3"),
    (r"f(x)=\sin(2x)-\cos^2 x + e^{-x t}", r"2\pi k \tan \theta"),
    (r"\begin{pmatrix} 1 & a \\ 2 & 3 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 2 & 4 \end{pmatrix}"),
    (r"\log_{2} 3+\ln|x|", r"\lfloor n/2\rfloor + \binom{n}{2} + n!"),
    (r"x^2+y^2=9", r"2x + 3y - 1 = 0"),
    (r"\sum_{k=1}^{10} k", "55"),
    (r"(-1, \frac{\sqrt{5}-1}{2})", r"-1 < m < \frac{-1+\sqrt{5}}{2}"),
    (r"x \in [-2,-1] \cup [1,2]", r"1 \leq |x| \leq 2"),
    (r"5-3i \times 2", r"-(a+b)(c-d)"),
)


def grade(request: dict[str, Any], settings: Settings) -> Verdict:
    """Return the verdict on one answer against every accepted gold form."""
    if "check" in request:
        return Verdict("correct" if readable(request["check"]) else "unparseable", None, "algebra")
    answer, found = request["answer"], None
    if not request["whole"]:
        text = found_in(answer)
        if text is None:
            return Verdict("unparseable", None, "no_answer")
        answer, found = rewrite(last_box(text) or text), text[:FOUND]
    how, failure = _best_agreement(answer, request["golds"], settings)
    if how:
        return Verdict("correct", found, how)
    if failure:
        return Verdict("error", found, failure)
    stated = words_of(answer) or readable(answer, partly=True)
    return Verdict("wrong" if stated else "unparseable", found, "algebra")


def _best_agreement(answer: str, golds: list[str], settings: Settings) -> tuple[str, str]:
    """Return how an answer agrees with one of the golds, "" for not at all, and what failed on the way."""
    failure = ""
    for gold in golds:
        try:
            how = agreement(answer, gold, settings)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  a comparison may fail in any way; it is reported
            failure = type(error).__name__
        else:
            if how:
                return how, failure
    return "", failure


def warm_up(settings: Settings) -> None:
    """Load the parsers' tables."""
    for answer, gold in _SAMPLES:
        agreement(answer, gold, settings)


def agreement(answer: str, gold: str, settings: Settings) -> str:
    """Return the name of the step that finds an answer equal to a gold, "" if none does."""
    if comparable(answer) == comparable(gold):
        return "exact"
    if same_words(answer, gold):
        return "words"
    for thousands in (True, False) if re.search(r"\d,\d{3}", answer + gold) else (True,):
        pair = read(answer, thousands=thousands), read(gold, thousands=thousands)
        if same(*pair, settings):
            return "algebra" if pair[1].kind == "leaf" else "items"
    return ""


def same(answer: Node, gold: Node, settings: Settings) -> bool:
    """Return whether two pieces agree."""
    kinds = {answer.kind, gold.kind}
    if kinds == {"leaf"}:
        return _same_leaf(answer, gold, settings)
    if kinds <= {"list", "set"}:
        return _same_unordered(answer.items, gold.items, settings)
    if "leaf" in kinds:
        return _container_and_leaf(answer, gold, settings)
    if kinds in ({"group", "list"}, {"group", "set"}):
        return _group_and_list(answer, gold, settings)
    return _same_brackets(answer, gold) and _same_in_order(_row(answer), _row(gold), settings)


def _group_and_list(answer: Node, gold: Node, settings: Settings) -> bool:
    """Return whether a tuple or an interval is what a list or a set says; two bare numbers are neither."""
    group, other = (answer, gold) if gold.kind != "group" else (gold, answer)
    if other.kind == "set":
        return len(other.items) == 1 and same(*_in_order(answer, gold, other, other.items[0]), settings)
    texts = [item.text for item in other.items]
    if all(map(_RELATION.search, texts)):
        return described_alike(texts, other.text, group.text)
    answer, gold = _distributed(answer, gold), _distributed(gold, answer)
    if answer.kind == gold.kind == "list":
        return _same_unordered(answer.items, gold.items, settings)
    named = any(name_tuple(node.label) or _named_one_by_one(node) for node in (answer, gold))
    return named and _same_in_order(answer.items, gold.items, settings)


def _in_order(answer: Node, gold: Node, old: Node, new: Node) -> tuple[Node, Node]:
    return (new, gold) if answer is old else (answer, new)


def _same_brackets(answer: Node, gold: Node) -> bool:
    if answer.kind == gold.kind == "matrix":
        return [len(row.items) for row in answer.items] == [len(row.items) for row in gold.items]
    pair = len(gold.items) == 2
    return not (answer.kind == gold.kind == "group" and pair and answer.brackets != gold.brackets)


def _row(node: Node) -> tuple[Node, ...]:
    """Return the parts of a tuple, and of a matrix its entries, row by row."""
    if node.kind != "matrix":
        return node.items
    return tuple(cell for row in node.items for cell in row.items)


def _same_in_order(answer: tuple[Node, ...], gold: tuple[Node, ...], settings: Settings) -> bool:
    return len(answer) == len(gold) and all(same(*pair, settings) for pair in zip(answer, gold, strict=True))


def _same_unordered(answer: tuple[Node, ...], gold: tuple[Node, ...], settings: Settings) -> bool:
    if len(answer) != len(gold):
        return False
    left = list(gold)
    for item in answer:
        match = next((other for other in left if same(item, other, settings)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _named_one_by_one(node: Node) -> bool:
    return node.kind == "list" and all(item.label for item in node.items)


def _distributed(node: Node, other: Node) -> Node:
    """Return (x, y) = (1, 2) as x = 1, y = 2 where the other side gives the names one by one."""
    names = name_tuple(node.label)
    if node.kind != "group" or not _named_one_by_one(other) or len(names) != len(node.items):
        return node
    items = tuple(item._replace(label=name) for item, name in zip(node.items, names, strict=True))
    return Node("list", node.text, items)


def _container_and_leaf(answer: Node, gold: Node, settings: Settings) -> bool:
    """Return whether a tuple, list or set agrees with a single text: an inequality or a union."""
    container, leaf = (answer, gold) if gold.kind == "leaf" else (gold, answer)
    if container.kind == "set" and len(container.items) == 1:
        return same(*_in_order(answer, gold, container, container.items[0]), settings)
    relations = _RELATION.search(leaf.text) is not None
    if container.kind == "list":
        relations = relations and all(_RELATION.search(item.text) for item in container.items)
    if not relations and container.kind != "matrix":
        return False
    if container.kind == "list" and described_alike(
        [item.text for item in container.items], container.text, leaf.text
    ):
        return True
    return same_set(answer.text, gold.text, settings)


def _same_leaf(answer: Node, gold: Node, settings: Settings) -> bool:
    pair = values_under_names(answer, gold)
    return pair is not None and same_text(*pair, settings)


def readable(text: str, *, partly: bool = False) -> bool:
    """Return whether every value in a rewritten text can be read, or at least one."""
    node = read(text)
    texts = [node.text] if node.kind == "leaf" else [item.text for item in _row(node)]
    return (any if partly else all)(map(is_value, texts))
