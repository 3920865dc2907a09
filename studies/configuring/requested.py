"""From the words of a command line to a study and its runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from studies.catalog import STUDIES, UsageError, find_scale, find_study, is_file_name, known

if TYPE_CHECKING:
    from studies.configuring.resolve import Resolved
    from studies.study import Study


class Requested(NamedTuple):
    """What is reported, and the runs it is reported of.

    Args:
        study: What is reported, its arms at each of the scales.
        resolved: The runs: the study's own, or those of the study that it reports on.
    """

    study: Study
    resolved: Resolved

    @property
    def view(self) -> dict[str, Any]:
        """What study.json holds of how the study is reported."""
        return self.study.presentation() | {"arms": [arm.name for arm in self.study.arms]}


def request(name: str, scales: Sequence[str], seeds: int | None, changes: Sequence[str] = ()) -> Requested:
    """Return the study of a command line.

    Args:
        name: Of a study, or path of a file that defines one.
        scales: Names or files of scales; none: the study's own.
        seeds: How many, from 0; None: the study's own.
        changes: Texts of `--set`.

    Raises:
        UsageError: A name is unknown, or a value refused.
    """
    if not name:
        raise UsageError("name a study, or the path of a file that defines one; --list shows all")
    if not is_file_name(name):
        known("study", name, STUDIES)
    if seeds is not None and seeds < 1:
        raise UsageError(f"--seeds={seeds} must be at least 1")
    # A wrong scale is told before anything heavy is imported.
    named = [find_scale(scale) for scale in scales]
    from studies.configuring.changes import read_changes
    from studies.configuring.resolve import resolve

    study = find_study(name)
    source = study if study.runs_of is None else find_study(study.runs_of)
    places = named or [find_scale(scale) for scale in source.scales]
    wanted = source.seeds if seeds is None else tuple(range(seeds))
    resolved = resolve(source, places, wanted, read_changes(source, changes))
    reported = study.at(places)
    foreign = {arm.name for arm in reported.arms} - {arm.name for arm in resolved.study.arms}
    if foreign:
        raise UsageError(f"study {study.name!r}: arms {sorted(foreign)} are none of {source.name!r}")
    return Requested(reported, resolved)
