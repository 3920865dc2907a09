"""What is explained: an algorithm with all its arguments, as `studies.run` would run it at a scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import Algorithm, Curriculum
from studies.catalog import find_algorithm, find_scale, is_file_name
from studies.configuring.arguments import argument_types
from studies.configuring.changes import read_changes
from studies.configuring.composing import record_algorithm
from studies.configuring.parts import build_algorithm
from studies.configuring.settings import apply_settings
from studies.explaining.conditions import Settings
from studies.record import AlgorithmRecord
from studies.scales import Scale
from studies.study import Arm, Study


@dataclass(frozen=True)
class Subject:
    """An algorithm at a scale.

    Args:
        record: Its function and all of its arguments, and parts that were swapped.
        function: What the record names.
        scale: With its settings as changed.
    """

    record: AlgorithmRecord
    function: Callable[..., Algorithm | Curriculum]
    scale: Scale

    @property
    def name(self) -> str:
        """What the algorithm is called."""
        return self.record.function.rpartition(":")[2]

    @property
    def settings(self) -> Settings:
        """What of the training settings coefficients can depend on."""
        return Settings(self.scale.train.rollout.samples, self.scale.train.updates_per_step)

    @property
    def kinds(self) -> dict[str, Any]:
        """The annotation of each argument."""
        return argument_types(self.function)

    def build(self, **arguments: Any) -> Algorithm | Curriculum:  # noqa: ANN401
        """Return the algorithm with arguments; those that are left out are the record's."""
        given: Mapping[str, Any] = {**self.record.arguments, **arguments}
        return build_algorithm(dataclasses.replace(self.record, arguments=given))


def find_subject(name: str, scale: str, changes: Sequence[str] = ()) -> Subject:
    """Return an algorithm as `python -m studies.run --scale … --set …` would run it.

    Args:
        name: In the registry, or "path/to/file.py:function".
        scale: Name or file of a scale.
        changes: "key=value" texts.

    Raises:
        UsageError: A name or value that is unknown or refused.
    """
    arm = Arm(name, _function(name))
    study = Study("explain", name, (arm,), seeds=(0,))
    changed = read_changes(study, changes)
    applied = apply_settings(find_scale(scale), changed.settings)
    record = record_algorithm(arm, applied, changed)
    return Subject(record, find_algorithm(record.function), applied)


def _function(name: str) -> str | Callable[..., Algorithm | Curriculum]:
    """Return a registered name as it is, and the function of a file that is given relative to this folder."""
    path, colon, function = name.rpartition(":")
    if colon and is_file_name(path) and Path(path).is_file():
        return find_algorithm(f"{Path(path).resolve()}:{function}")
    return find_algorithm(name) if colon else name
