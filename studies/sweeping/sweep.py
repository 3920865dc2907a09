"""What a sweep is, as data, and where the predefined ones are."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from studies.catalog import STUDIES, UsageError, find_study, is_file_name, known, load_file

if TYPE_CHECKING:
    from studies.study import Study

SWEEPS: dict[str, str] = {
    "sweep_gate_mix": "studies.sweep_gate_mix",
}
"""Module of each predefined sweep, which holds STUDY and SWEEP, by the sweep's name."""


@dataclass(frozen=True)
class Sweep:
    """A sweep of a study.

    Args:
        axes: Texts of `--axis`.
        trials: How many.
        seeds: Of training, from 0, of each trial.
        sampler: "tpe", "random" or "grid".
        pruner: "median", "hyperband" or "none".
        changes: Texts of `--set`.
    """

    axes: Sequence[str] = ()
    trials: int = 30
    seeds: int = 1
    sampler: str = "tpe"
    pruner: str = "median"
    changes: Sequence[str] = ()


class Found(NamedTuple):
    """A study with what is swept in it unless the command says otherwise.

    Args:
        study: The study.
        sweep: Its own sweep, or what every other study's is.
        name: By which `studies.run` finds the study.
    """

    study: Study
    sweep: Sweep
    name: str


def find_sweep(name: str) -> Found:
    """Return a predefined sweep, or a study by name or file.

    Raises:
        UsageError: There is none of that name, or the file defines none.
    """
    if not name:
        raise UsageError(f"name a sweep ({', '.join(SWEEPS)}), or a study; studies.run --list shows all")
    if name in SWEEPS:
        module = importlib.import_module(SWEEPS[name])
        return Found(module.STUDY, _own(module), f"{SWEEPS[name].replace('.', '/')}.py")
    if is_file_name(name):
        study = find_study(name)
        return Found(study, _own(load_file(Path(name))), name)
    known("sweep or study", name, [*SWEEPS, *STUDIES])
    study = find_study(name)
    return Found(study if study.runs_of is None else find_study(study.runs_of), Sweep(), name)


def _own(module: ModuleType) -> Sweep:
    found = getattr(module, "SWEEP", None) or Sweep()
    if not isinstance(found, Sweep):
        raise UsageError(
            f"{module.__file__}: SWEEP is a {type(found).__name__}, not a studies.sweeping.sweep.Sweep"
        )
    return found
