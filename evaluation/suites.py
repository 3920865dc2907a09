"""Suites of questions: lm-eval task files under evaluation/tasks, and the data they name.

A new suite is a YAML file that includes `_base.yaml`, and its questions in a jsonl file.
"""

from __future__ import annotations

import difflib
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lm_eval.api.task
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from evaluation.config import EvalConfig
from evaluation.editions import content_sha256, unlisted
from evaluation.suite_data import Question
from evaluation.task_functions import TASKS, source

SPLITS = ("in_distribution", "out_of_distribution")


@dataclass(frozen=True)
class Suite:
    """A suite that is ready to be asked.

    Args:
        name: Of the task.
        version: Of the task file.
        split: One of `SPLITS` where the suite belongs to one side of a table, else None.
        sha256: Of the questions as they are asked.
        unlisted: How many of them the task was not written for.
        questions: All of them.
        task: lm-eval's task.
    """

    name: str
    version: str
    split: str | None
    sha256: str
    unlisted: int
    questions: tuple[Question, ...]
    task: Any


def suite_names(tasks: Path = TASKS) -> tuple[str, ...]:
    """Return the names of all suites in a folder of task files."""
    return tuple(_manager(tasks, {}).all_subtasks)


def load_suites(
    names: Sequence[str],
    data: Path | None,
    tasks: Path = TASKS,
    *,
    option_seed: int | None = None,
    changed_data: bool = False,
) -> list[Suite]:
    """Return suites by name, with their questions read and checked; also a check before training.

    Args:
        names: Names of task files' tasks.
        data: Folder of the files that the tasks name; None takes their data sets on the hub.
        tasks: Folder of the task files.
        option_seed: Of the order of options in multiple choice; None keeps the data's.
        changed_data: Let a file have other questions than the task was written for.

    Raises:
        ValueError: A name is unknown or there twice, a task file is unusable, or its questions are missing,
            bad or not those it was written for.
    """
    given = {"option_seed": option_seed, "changed_data": changed_data}
    manager = _manager(tasks, given if data is None else {**given, "data": str(data.resolve())})
    known = manager.all_subtasks
    if not names:
        raise ValueError(f"no suite is named; there are {', '.join(known)}")
    for index, name in enumerate(names):
        if name not in known:
            raise ValueError(_unknown(name, known))
        if name in names[:index]:
            raise ValueError(f"suite {name!r} is named twice")
    with contained():
        return [_load(manager, name, {**given, "data": data}) for name in names]


def suites_of(protocol: EvalConfig, data: Path | None) -> list[Suite]:
    """Return the suites that a protocol asks, as it asks them; raise ValueError as `load_suites` does."""
    return load_suites(
        protocol.suites, data, option_seed=protocol.option_seed, changed_data=protocol.changed_data
    )


def count_questions(names: Sequence[str], data: Path | None, tasks: Path = TASKS) -> dict[str, int]:
    """Return how many questions suites have; data are read for those alone whose number is not known."""
    index = _manager(tasks, {}).task_index
    counts = {}
    for name in names:
        settings = source(index[name].cfg.get("dataset_kwargs") or {}) if name in index else None
        digests = settings.digests() if settings else None
        counts[name] = len(digests) if digests else len(load_suites([name], data, tasks)[0].questions)
    return counts


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


def _manager(tasks: Path, given: Mapping[str, Any]) -> TaskManager:
    """Return lm-eval's index of the folder; what is given reaches `documents` as arguments."""
    with contained():
        manager = TaskManager(include_path=str(tasks), include_defaults=False, metadata=dict(given))
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


def _load(manager: TaskManager, name: str, given: Mapping[str, Any]) -> Suite:
    entry = manager.task_index[name]
    config: Mapping[str, Any] = entry.cfg
    metadata = config.get("metadata") or {}
    settings = config.get("dataset_kwargs") or {}
    if not settings.get("file") or not metadata.get("version"):
        raise ValueError(f"{entry.yaml_path} must give dataset_kwargs.file and metadata.version")
    split = metadata.get("split")
    if split is not None and split not in SPLITS:
        raise ValueError(f"{entry.yaml_path}: metadata.split={split!r} must be one of {SPLITS}")
    if config.get("generation_kwargs") != {"until": []}:
        raise ValueError(f"{entry.yaml_path}: generation_kwargs belong to EvalConfig, not to a task")
    where = source({**settings, **given})
    questions, digests = where.read(), where.digests()
    return Suite(
        name=name,
        version=str(metadata["version"]),
        split=split,
        sha256=content_sha256(questions),
        unlisted=0 if digests is None else unlisted(questions, digests),
        questions=tuple(questions),
        task=manager.load([name])["tasks"][name],
    )


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    return f"unknown suite {name!r}; {hint}"
