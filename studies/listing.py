"""What there is, and what would be run, as text."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping

from algorithms import ALGORITHMS
from core import Algorithm, Curriculum
from core.protocols import KINDS, LossTerm
from studies.catalog import SCALES, STUDIES, find_scale, find_study
from studies.configuring.kinds import HELD, PARTS, parts_of_kind
from studies.configuring.places import ASKED, places, whole
from studies.sweeping.sweep import SWEEPS, find_sweep

WIDTH = 100


def listing() -> str:
    """Return all studies, sweeps, scales, algorithms and parts."""
    return "\n".join([*_studies(), "", *_sweeps(), "", *_scales(), "", *_algorithms(), "", *_parts()])


def _studies() -> Iterator[str]:
    yield "Studies"
    studies = {name: find_study(name) for name in STUDIES}
    yield from _table(
        {name: f"{s.title}: {len(s.arms)} arms x {len(s.seeds)} seeds" for name, s in studies.items()}
    )


def _sweeps() -> Iterator[str]:
    yield "Sweeps (python -m studies.sweep NAME; any study can be swept, with --axis)"
    sweeps = {name: find_sweep(name) for name in SWEEPS}
    yield from _table(
        {
            name: f"{found.study.title}: {found.sweep.trials} trials over {len(found.sweep.axes)} axes"
            for name, found in sweeps.items()
        }
    )


def _scales() -> Iterator[str]:
    yield "Scales"
    scales = {name: find_scale(name) for name in SCALES}
    yield from _table({name: f"{s.policy}, {s.train.steps} steps" for name, s in scales.items()})


def _algorithms() -> Iterator[str]:
    yield "Algorithms: the arguments that --set takes; the terms whose parts it swaps, or the stages"
    yield f"  (every algorithm, a stage too, has parts under {' and '.join(ASKED)} as well)"
    yield from _table({name: _algorithm(function) for name, function in ALGORITHMS.items()})


def _algorithm(function: Callable[..., Algorithm | Curriculum]) -> str:
    parameters = inspect.signature(function).parameters.values()
    arguments = ", ".join(f"{each.name}={each.default}" for each in parameters)
    held = ", ".join(place.name for place in places(whole(function())) if place.name not in ASKED)
    return f"{arguments}; {held}" if arguments else held


def _parts() -> Iterator[str]:
    yield "Parts, by their kinds, with their fields and the defaults"
    yield "  (--set 'hpt.reinforce.mask=ClipMask(0.2)' swaps one, hpt.reinforce.mask.low=0.3 sets a field)"
    kinds = {kind.__name__: parts_of_kind(kind) for kind in (*KINDS, LossTerm)}
    kinds["held by others"] = [part.__name__ for part in HELD]
    for kind, names in kinds.items():
        yield f"  {kind}"
        for name in names:
            yield from _wrapped(written(PARTS[name]), "    ", " " * 8)


def written(part: type) -> str:
    """Return how a part is written: with all its fields, and their defaults where they have one."""
    said = []
    for each in dataclasses.fields(part):
        given = each.default is not dataclasses.MISSING
        if given and each.name == "name":
            continue  # a term's, which --set takes from the place where it is put
        said.append(f"{each.name}={each.default!r}" if given else each.name)
    return f"{part.__name__}({', '.join(said)})"


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, rows)) + 2
    for name, said in rows.items():
        yield from _wrapped(said, f"  {name:{width}}", " " * (width + 2))


def _wrapped(text: str, indent: str, hanging: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
