"""Axes as text: `KEY=float(0, 1)`, `KEY=int(1, 8, step=2)`, `KEY=choice(KeepAll(), ClipMask(0.2))`.

A key is what `--set` takes. `… if KEY=VALUE` behind it has an axis varied only while another one, a choice
that stands before it, has that value.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from studies.catalog import UsageError, known
from studies.sweeping.axes import Axis, Condition

_BRACKETS = {")": "(", "]": "[", "}": "{"}


def read_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes of texts.

    Raises:
        UsageError: One cannot be read, or two have one key, or a condition can never hold.
    """
    axes: list[Axis] = []
    for text in texts:
        try:
            axis = _read(text)
            _check(axis, axes)
        except UsageError as error:
            raise UsageError(f"--axis {text}: {error}") from None
        axes.append(axis)
    return tuple(axes)


def _read(text: str) -> Axis:
    key, equals, space = (part.strip() for part in text.partition("="))
    kind, bracket, rest = space.partition("(")
    if not (key and equals and bracket):
        raise UsageError("must be KEY=float(low, high), KEY=int(low, high) or KEY=choice(value, value)")
    makers: dict[str, Callable[[Sequence[str]], BaseDistribution]]
    makers = {"float": _floats, "int": _integers, "choice": _choices}
    make = makers[known("kind of axis", kind.strip(), makers)]
    items, behind = _items(rest)
    try:
        distribution = make(items)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return Axis(key, distribution, _condition(behind.strip()))


def _items(text: str) -> tuple[list[str], str]:
    """Return what stands between a bracket's commas, and what stands behind the bracket."""
    open_brackets, quote, start, items = ["("], "", 0, []
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _BRACKETS.values():
            open_brackets.append(letter)
        elif letter in _BRACKETS and open_brackets.pop() != _BRACKETS[letter]:
            break
        ended = not open_brackets
        if ended or (letter == "," and not quote and len(open_brackets) == 1):
            items.append(text[start:place].strip())
            start = place + 1
        if ended:
            return [item for item in items if item], text[start:]
    raise UsageError("its brackets and quotes do not close")


def _numbers(items: Sequence[str], read: Callable[[str], float]) -> tuple[list[float], float | None, bool]:
    """Return low and high, the step and whether it is logarithmic."""
    bounds, step, log = [], None, False
    for item in items:
        name, equals, number = (part.strip() for part in item.partition("="))
        if item == "log":
            log = True
        elif equals and name == "step":
            step = read(number)
        else:
            bounds.append(read(item))
    if len(bounds) != 2:
        raise ValueError(f"needs low and high, then step=NUMBER or log; given: {', '.join(items) or 'none'}")
    return bounds, step, log


def _floats(items: Sequence[str]) -> BaseDistribution:
    (low, high), step, log = _numbers(items, float)
    if not all(map(math.isfinite, (low, high))):
        raise ValueError("low and high must be finite")
    # Optuna lowers a bound that no step leads to, with a warning at most.
    if step and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        raise ValueError(f"no whole number of steps of {step} leads from {low} to {high}")
    return FloatDistribution(low, high, log=log, step=step)


def _integers(items: Sequence[str]) -> BaseDistribution:
    (low, high), step, log = _numbers(items, int)
    if step and (high - low) % step:
        raise ValueError(f"no whole number of steps of {step} leads from {low} to {high}")
    return IntDistribution(int(low), int(high), log=log, step=1 if step is None else int(step))


def _choices(items: Sequence[str]) -> BaseDistribution:
    texts = [_unquoted(item) for item in items]
    if len(texts) < 2 or len(set(texts)) < len(texts):
        raise ValueError(f"needs two or more different values; given: {', '.join(items) or 'none'}")
    return CategoricalDistribution(texts)


def _unquoted(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, str) else text


def _condition(text: str) -> Condition | None:
    if not text:
        return None
    word, _, rest = text.partition(" ")
    key, equals, value = (part.strip() for part in rest.partition("="))
    if word != "if" or not (key and equals and value):
        raise UsageError(f"{text!r}: only `if KEY=VALUE` may stand behind it")
    return Condition(key, value)


def _check(axis: Axis, before: Sequence[Axis]) -> None:
    keys = {each.key: each for each in before}
    if axis.key in keys:
        raise UsageError(f"{axis.key} is an axis already")
    if axis.when is not None:
        parent = keys[known("axis before it", axis.when.key, keys)]
        if parent.numeric:
            raise UsageError(f"{parent.key} is no choice, so that nothing can depend on it")
        known(f"choice of {parent.key}", axis.when.value, map(str, parent.extremes()))
