"""What study.json says was wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studies.reporting.run_files import required


@dataclass(frozen=True)
class StudyRecord:
    """What study.json says was wanted.

    Args:
        name: Folder under results/.
        title: Heading of the table.
        arms: Names, in the order of the table.
        seeds: Seeds of every arm.
        runs: For each arm its RunConfig as JSON, without study, arm and seed.
        baselines: For each arm the one that its difference is taken against; baselines themselves have none.
        sections: Names of the parts of its report.
        published: Name of the published table that it makes again.
        source: Study that the runs belong to.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: Mapping[str, Mapping[str, Any]]
    baselines: Mapping[str, str]
    sections: tuple[str, ...]
    published: str | None
    source: str

    @property
    def suites(self) -> tuple[str, ...]:
        """Suites that any arm is evaluated on, in the order of the protocols."""
        named = [suite for arm in self.arms for suite in self.runs[arm]["evaluation"]["suites"]]
        return tuple(dict.fromkeys(named))


def read_study(record: Mapping[str, Any], view: Mapping[str, Any]) -> StudyRecord:
    """Return what study.json says.

    Args:
        record: As the study that the runs belong to has it.
        view: As the study that is reported has it, which may be the same.

    Raises:
        DamagedRecordError: Something is missing.
    """
    file = "study.json"
    name, arms = (required(view, key, file) for key in ("study", "arms"))
    source, runs = (required(record, key, file) for key in ("study", "runs"))
    for arm in arms:
        required(required(required(runs, arm, file), "evaluation", f"{file} {arm}"), "suites", file)
    # Records of before had one baseline for all arms.
    single = view.get("baseline")
    before = {arm: single for arm in arms if single not in (None, arm)}
    return StudyRecord(
        name,
        view.get("title") or name,
        tuple(arms),
        tuple(required(record, "seeds", file)),
        runs,
        view.get("baselines", before),
        tuple(view.get("sections", ("scores", "differences", "dynamics"))),
        view.get("published"),
        source,
    )
