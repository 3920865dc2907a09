"""Compare two single values: in words, as ratios, with units, degree and percent signs; in a worker only."""

import re
from fractions import Fraction
from typing import Any

from evaluation.grading.algebra import same_value
from evaluation.grading.notation import comparable
from evaluation.grading.numbers import plain_number, same_number, scaled, strip_degrees, strip_percent
from evaluation.grading.reading import expression
from evaluation.grading.structure import CALL
from evaluation.grading.words import same_words, split_unit, units_differ, words_of

ONE, PERCENT = Fraction(1), Fraction(1, 100)

# A sequence that goes on, or digits in another base: nothing to calculate with.
_OPAQUE = re.compile(r"\\ldots|\d_")
_CLOCK = re.compile(r"\d{1,2}:\d\d")

Settings = dict[str, Any]


def same_text(answer: str, gold: str, settings: Settings) -> bool:
    """Return whether two single values agree."""
    keys = comparable(answer), comparable(gold)
    if keys[0] == keys[1]:
        return bool(keys[0])
    if any(_OPAQUE.search(key) for key in keys):
        return False
    in_words = same_words(answer, gold)
    if in_words is not None:
        return in_words
    if answer.count("=") > 1 and "=" not in gold:
        return all(_same_quantity(part, gold, settings) for part in _chain(answer))
    ratios = _ratio(answer), _ratio(gold)
    if any(ratios):
        if all(_CLOCK.fullmatch(key) for key in keys):
            return False
        if all(ratios) and len(ratios[0]) == len(ratios[1]) > 2:
            return _proportional(ratios[0], ratios[1], settings)
        answer, gold = _fraction(answer, ratios[0]), _fraction(gold, ratios[1])
    return _same_quantity(answer, gold, settings)


def _chain(text: str) -> list[str]:
    """Return what a chain of equalities says: its last part if it begins with a name, else all of them."""
    first, *others = (part.strip() for part in text.split("="))
    return others[-1:] if re.fullmatch(CALL, first) else [first, *others]


def _ratio(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(":")]
    return parts if len(parts) > 1 and all(parts) and "=" not in text else []


def _fraction(text: str, ratio: list[str]) -> str:
    return rf"\frac{{{ratio[0]}}}{{{ratio[1]}}}" if len(ratio) == 2 else text


def _proportional(answer: list[str], gold: list[str], settings: Settings) -> bool:
    pairs = zip(answer, gold, strict=True)
    return all(
        _same_quantity(rf"({mine}) \cdot ({gold[0]})", rf"({theirs}) \cdot ({answer[0]})", settings)
        for mine, theirs in pairs
    )


def _same_quantity(answer: str, gold: str, settings: Settings) -> bool:
    """Return whether two values agree, their units, degree and percent signs considered."""
    (answer, mine), (gold, theirs) = split_unit(answer), split_unit(gold)
    if units_differ(mine, theirs):
        return False
    answer, gold = _degrees_aside(answer, gold)
    (answer, answer_percent), (gold, gold_percent) = strip_percent(answer), strip_percent(gold)
    scales = [(PERCENT if answer_percent else ONE, PERCENT if gold_percent else ONE)]
    if answer_percent != gold_percent and (gold_percent or settings["percent_ignored"]):
        scales.append((ONE, ONE))
    return any(_same_scaled(answer, gold, settings, pair) for pair in scales)


def _degrees_aside(answer: str, gold: str) -> tuple[str, str]:
    """Return both without degree signs, degrees as radians where the other side is a multiple of pi."""
    (mine, mine_degrees), (theirs, theirs_degrees) = strip_degrees(answer), strip_degrees(gold)
    if mine_degrees != theirs_degrees and r"\pi" in mine + theirs:
        radians = r"\frac{%s \pi}{180}"
        return radians % mine if mine_degrees else mine, radians % theirs if theirs_degrees else theirs
    return mine, theirs


def _same_scaled(answer: str, gold: str, settings: Settings, scales: tuple[Fraction, Fraction]) -> bool:
    mine, theirs = plain_number(answer), plain_number(gold)
    if mine and theirs:
        return same_number(scaled(mine, scales[0]), scaled(theirs, scales[1]))
    return same_value(answer, gold, settings, scales)


def is_value(text: str) -> bool:
    """Return whether a text is a value that can be calculated with."""
    text = strip_degrees(strip_percent(split_unit(text)[0])[0])[0]
    return expression(text) is not None and not words_of(text) and not _OPAQUE.search(comparable(text))
