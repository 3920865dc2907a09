"""What task files call by name: their questions, which answers are scored, and how.

With these the tasks work in lm-eval's own command line, too (`--include_path evaluation/tasks`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.filter import Filter

from evaluation.editions import Digest, check_lines, read_edition
from evaluation.grading import Grader, GraderConfig
from evaluation.hub_data import read_hub
from evaluation.multiple_choice import shuffled, with_options
from evaluation.suite_data import Question, numbered, to_question

TASKS = Path(__file__).with_name("tasks")
EDITIONS = TASKS / "paper" / "editions"


class KeepAll(Filter):  # type: ignore[misc]
    """Give every sampled answer to the scoring; lm-eval's own default keeps the first alone."""

    def apply(self, resps: Iterable[Any], docs: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Return the answers as they came."""
        return list(resps)


@dataclass(frozen=True)
class Source:
    """Where a task's questions come from.

    Args:
        file: Name of the jsonl file, relative to `data`.
        gold: Its column of answers, or several.
        hub: path, split and, if there is one, name of the data set on the hub, and its reader in hub_data.
        edition: File under tasks/*/editions with the digests of the questions that the task was written for.
        data: Folder of the files; None takes the hub where the task names a data set there.
        option_seed: Of the order of options; None keeps that of the data.
        changed_data: Let a file have questions that are not the edition's.
    """

    file: str
    gold: str | Sequence[str] = "answer"
    hub: Mapping[str, str] | None = None
    edition: str | None = None
    data: str | None = None
    option_seed: int | None = None
    changed_data: bool = False

    def digests(self) -> Mapping[str, Digest] | None:
        """Return those of the questions that the task was written for, if they are known."""
        return None if self.edition is None else read_edition(EDITIONS / self.edition)

    def read(self) -> list[Question]:
        """Return the questions as they are asked.

        Raises:
            ValueError: There are none, a row is bad, or a file is another edition.
        """
        if self.data is None and self.hub is not None and not Path(self.file).is_absolute():
            found = read_hub(**self.hub)
        else:
            found = self._read_file(locate(self.file, self.data))
        return [shuffled(question, self.option_seed) for question in found]

    def _read_file(self, path: Path) -> list[Question]:
        columns = (self.gold,) if isinstance(self.gold, str) else tuple(self.gold)
        lines = numbered(path, lambda row: to_question(row, columns))
        digests = self.digests()
        if digests is not None and not self.changed_data:
            check_lines(path, lines, digests)
        return [question for _, question in lines]


def source(settings: Mapping[str, Any]) -> Source:
    """Return a task's source from its `dataset_kwargs` and what is given at run time, among other things."""
    known = {field.name for field in fields(Source)}
    return Source(**{key: value for key, value in settings.items() if key in known})


def documents(**settings: Any) -> dict[str, datasets.Dataset]:  # noqa: ANN401
    """Return the questions that a task file names, as lm-eval's `custom_dataset`.

    They are held in memory, without the on-disk cache of `datasets`: nothing is shared with another process,
    and nothing stale is found.
    """
    rows = [
        {"id": asked.id, "problem": with_options(asked), "gold": list(asked.golds)}
        | {"subject": asked.subject, "level": asked.level}
        for asked in source(settings).read()
    ]
    return {"test": datasets.Dataset.from_list(rows)}


def locate(file: str, data: str | Path | None) -> Path:
    """Return the path of a task's file of questions."""
    path = Path(data or "", file)
    if not path.is_absolute():
        if data is None:
            raise ValueError(f"{file}: the folder of the suites' data (suite_data) is not given")
        path = path.resolve()
    if not path.is_file():
        raise ValueError(f"{path}: no such file of questions")
    return path


def score(doc: Mapping[str, Any], results: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return a question's avg@k, as lm-eval's `process_results`; answers without a verdict are left out."""
    (responses,) = results
    grades = _grader().grade_all([(response, tuple(doc["gold"])) for response in responses])
    earned = [grade.correct for grade in grades if grade.outcome != "error"]
    return {"avg_at_k": sum(earned) / len(earned)} if earned else {}


@cache
def _grader() -> Grader:
    return Grader(GraderConfig(workers=1))
