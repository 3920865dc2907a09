"""Suites of questions: lm-eval task files under evaluation/tasks, and the data they name.

A new suite is a YAML file that includes `_base.yaml`, and its questions in a jsonl file.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import lm_eval.api.task
import pyarrow as pa
from lm_eval.api.filter import Filter
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from evaluation.suite_data import read_suite_file

TASKS = Path(__file__).with_name("tasks")
SPLITS = ("in_distribution", "out_of_distribution")


@dataclass(frozen=True)
class Suite:
    """A suite that is ready to be asked.

    Args:
        name: Of the task.
        version: Of the task file.
        split: One of `SPLITS` where the suite belongs to one side of a table, else None.
        sha256: Of the file of questions.
        task: lm-eval's task.
    """

    name: str
    version: str
    split: str | None
    sha256: str
    task: Any


class KeepAll(Filter):  # type: ignore[misc]
    """Give every sampled answer to the scoring; lm-eval's own default keeps the first alone."""

    def apply(self, resps: Iterable[Any], docs: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Return the answers as they came."""
        return list(resps)


def documents(
    *, file: str, gold: str = "answer", data: str | None = None, **_: object
) -> dict[str, datasets.Dataset]:
    """Return the questions that a task file names, as lm-eval's `custom_dataset`.

    They are read into memory, without the on-disk cache of `datasets`: nothing is shared with
    another process, nothing stale is found, and nothing is asked of a hub.

    Args:
        file: Name of the jsonl file, relative to `data`.
        gold: Its column of answers; each row gets a copy of it named `gold`.
        data: Folder of the files, given at run time.
    """
    path = _locate(file, data)
    rows = [{**row, "gold": row[gold]} for row in read_suite_file(path, gold)]
    try:
        return {"test": datasets.Dataset.from_list(rows)}
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise ValueError(f"{path}: a column has values of several types: {error}") from error


def suite_names(tasks: Path = TASKS) -> tuple[str, ...]:
    """Return the names of all suites in a folder of task files."""
    return tuple(_manager(tasks, None).all_subtasks)


def load_suites(names: Sequence[str], data: Path | None, tasks: Path = TASKS) -> list[Suite]:
    """Return suites by name, with their questions read and checked; also a check before training.

    Args:
        names: Names of task files' tasks.
        data: Folder of the files that the tasks name; None where they name absolute paths.
        tasks: Folder of the task files.

    Raises:
        ValueError: A name is unknown or there twice, a task file is unusable, or a file of
            questions is missing or holds a bad row.
    """
    manager = _manager(tasks, data)
    known = manager.all_subtasks
    if not names:
        raise ValueError(f"no suite is named; there are {', '.join(known)}")
    for index, name in enumerate(names):
        if name not in known:
            raise ValueError(_unknown(name, known))
        if name in names[:index]:
            raise ValueError(f"suite {name!r} is named twice")
    with contained():
        return [_load(manager, name, data) for name in names]


@contextmanager
def contained() -> Iterator[None]:
    """Keep lm-eval's log, bars and random draws to itself.

    Its log and bars are shown where a level was set for the logger `lm_eval`.
    """
    logger = logging.getLogger("lm_eval")
    level, bar = logger.level, lm_eval.api.task.tqdm
    state = random.getstate()  # lm-eval draws names for tasks from the global generator
    if level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
        lm_eval.api.task.tqdm = lambda documents, **_: documents
    try:
        yield
    finally:
        logger.setLevel(level)
        lm_eval.api.task.tqdm = bar
        random.setstate(state)


def _manager(tasks: Path, data: Path | None) -> TaskManager:
    """Return lm-eval's index of the folder; the metadata reaches `documents` as arguments."""
    metadata = {} if data is None else {"data": str(data.resolve())}
    with contained():
        manager = TaskManager(include_path=str(tasks), include_defaults=False, metadata=metadata)
    indexed = {entry.yaml_path for entry in manager.task_index.values()}
    for path in sorted(tasks.rglob("*.yaml")):
        # lm-eval leaves out a file that it cannot read, or whose name is taken, without a word.
        if not path.name.startswith("_") and path not in indexed:
            _explain(path)
    return manager


def _explain(path: Path) -> None:
    try:
        name = load_yaml(path, resolve_func=False).get("task")
    except Exception as error:
        raise ValueError(f"{path} is not a task file: {error}") from error
    raise ValueError(f"{path}: its task {name!r} is missing or defined by another file too")


def _load(manager: TaskManager, name: str, data: Path | None) -> Suite:
    entry = manager.task_index[name]
    config: Mapping[str, Any] = entry.cfg
    metadata = config.get("metadata") or {}
    file = (config.get("dataset_kwargs") or {}).get("file")
    if not file or not metadata.get("version"):
        raise ValueError(f"{entry.yaml_path} must give dataset_kwargs.file and metadata.version")
    split = metadata.get("split")
    if split is not None and split not in SPLITS:
        raise ValueError(f"{entry.yaml_path}: metadata.split={split!r} must be one of {SPLITS}")
    if config.get("generation_kwargs") != {"until": []}:
        raise ValueError(f"{entry.yaml_path}: generation_kwargs belong to EvalConfig, not to a task")
    sha256 = hashlib.sha256(_locate(file, data).read_bytes()).hexdigest()
    task = manager.load([name])["tasks"][name]
    return Suite(name, str(metadata["version"]), split, sha256, task)


def _locate(file: str, data: str | Path | None) -> Path:
    path = Path(data or "", file)
    if not path.is_absolute():
        if data is None:
            raise ValueError(f"{file}: the folder of the suites' data (suite_data) is not given")
        path = path.resolve()
    if not path.is_file():
        raise ValueError(f"{path}: no such file of questions")
    return path


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"unknown suite {name!r}; {hint}"
