"""Swap parts of an algorithm for others, and build the algorithm of a record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from core import Algorithm, Curriculum
from studies.catalog import PROJECT, UsageError, find_algorithm
from studies.configuring.arguments import argument_types
from studies.configuring.expressions import read_part, write_part
from studies.configuring.places import Place, expanded, find_place, new_term, rebuilt, step, whole
from studies.configuring.settings import as_kind
from studies.record import AlgorithmRecord


@dataclass(frozen=True)
class Swap:
    """A part to put in another's place.

    Args:
        path: Dotted name of the place, as in `studies.configuring.places`.
        value: The part, or its text.
        label: What messages call the place; its path if empty.
    """

    path: str
    value: object
    label: str = ""

    def __str__(self) -> str:
        return f"{self.label or self.path}={self.value}"


class Swapped(NamedTuple):
    """An algorithm with its new parts, and the text of each by its path, one for all ways to write it."""

    algorithm: Algorithm | Curriculum
    texts: dict[str, str]


def build_algorithm(record: AlgorithmRecord) -> Algorithm | Curriculum:
    """Return the algorithm of a record: its function of its arguments, then its parts swapped."""
    function = find_algorithm(record.function)
    kinds = argument_types(function)
    arguments = {  # JSON has lists in place of tuples
        name: as_kind(value, kinds.get(name, Any)) if isinstance(value, list) else value
        for name, value in record.arguments.items()
    }
    swaps = [Swap(path, text) for path, text in record.parts.items()]
    return swap_parts(function(**arguments), swaps).algorithm


def swap_parts(
    algorithm: Algorithm | Curriculum, swaps: Sequence[Swap], folders: Sequence[Path] = (PROJECT,)
) -> Swapped:
    """Put parts in the place of others, all at once: one alone may be impossible beside what it replaces.

    Args:
        algorithm: As its function composed it.
        swaps: What goes where.
        folders: Where relative paths of files in the texts start, the first that has the file.

    Raises:
        UsageError: A place or part that is unknown, a value that a part refuses, or a composition that is
            impossible; it names the swap.
    """
    if not swaps:
        return Swapped(algorithm, {})
    swaps = [each for swap in swaps for each in _expanded(algorithm, swap)]
    _refuse_overlaps(swaps)
    texts: dict[str, str] = {}
    parts: dict[str, object] = {}
    for swap in sorted(swaps, key=lambda swap: swap.path):
        try:
            texts[swap.path], parts[swap.path] = _placed(algorithm, swap, folders)
        except UsageError as error:
            raise UsageError(f"{swap}: {error}") from error
    entries = [(swap.path, swap) for swap in swaps]
    return Swapped(cast("Algorithm | Curriculum", _swapped(whole(algorithm), entries, parts)), texts)


def _expanded(algorithm: Algorithm | Curriculum, swap: Swap) -> list[Swap]:
    """Return the swap at every place that its path stands for."""
    try:
        paths = expanded(algorithm, swap.path)
    except UsageError as error:
        raise UsageError(f"{swap}: {error}") from error
    return [Swap(path, swap.value, swap.label or swap.path) for path in paths]


def _refuse_overlaps(swaps: Sequence[Swap]) -> None:
    for swap in swaps:
        for other in swaps:
            if other is not swap and overlap(swap.path, other.path):
                raise UsageError(f"{swap} and {other} name the same part; give one that says both")


def overlap(path: str, other: str) -> bool:
    """Return whether one of two paths leads through the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def _placed(algorithm: Algorithm | Curriculum, swap: Swap, folders: Sequence[Path]) -> tuple[str, object]:
    """Return the text and the part of a swap, or of a term that it adds."""
    try:
        place = find_place(algorithm, swap.path)
    except UsageError as unknown:
        added = new_term(algorithm, swap.path)
        if added is None or not is_call(swap.value):
            raise
        try:
            text, term = _settled(swap.value, added.hint, folders)
        except UsageError as error:
            raise UsageError(f"{unknown}; nor can it be a new term: {error}") from error
        if getattr(term, "name", None) != added.name:
            raise UsageError(f"the new term is to be called as its place is: name={added.name!r}") from None
        return text, term
    return _settled(swap.value, place.hint, folders)


def is_call(value: object) -> bool:
    """Return whether a value is a part, or a text that calls for one: `KlPenalty(0.1, …)`."""
    return not isinstance(value, str) or "(" in value.strip()[1:]


def _settled(value: object, hint: Any, folders: Sequence[Path]) -> tuple[str, object]:  # noqa: ANN401
    """Return the one text of a part, and the part that any process makes of it."""
    part = read_part(value, hint, folders) if isinstance(value, str) else read_part(write_part(value), hint)
    text = write_part(part)
    again = read_part(text, hint)
    if write_part(again) != text:
        raise UsageError(f"{text} is {write_part(again)} when it is read again, so no record can hold it")
    return text, again


def _swapped(holder: Place, entries: Sequence[tuple[str, Swap]], parts: Mapping[str, object]) -> object:
    """Return what stands at a place with parts swapped below it, each of its own places in one go.

    Args:
        holder: The place.
        entries: Swaps with what is left of their paths.
        parts: The new parts by their whole paths.
    """
    inner: defaultdict[str, list[tuple[str, Swap]]] = defaultdict(list)
    for path, swap in entries:
        name, _, rest = path.partition(".")
        inner[name].append((rest, swap))
    new: dict[str, object] = {}
    for name, below in inner.items():
        rest, swap = below[0]
        new[name] = _swapped(step(holder, name, holder.name), below, parts) if rest else parts[swap.path]
    try:
        return rebuilt(holder.value, new)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{', '.join(str(swap) for _, swap in entries)}: {error}") from error
