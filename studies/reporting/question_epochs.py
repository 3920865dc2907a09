"""How well each training question was answered, epoch by epoch, from the runs' metrics.jsonl."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from studies.directories import run_directory
from studies.reporting.records import Records

UNTOLD = "untold"
COLUMNS = ["arm", "seed", "level", "question", "epoch", "step", "accuracy"]


class Answered(NamedTuple):
    """The share of its rollouts that was correct, each time a question was asked.

    Args:
        table: COLUMNS; the epoch is how often the question had been asked before, from 0.
        unread: Finished runs that trained and whose metrics tell of no question.
    """

    table: pd.DataFrame
    unread: tuple[str, ...]


def question_epochs(records: Records) -> Answered:
    """Return what the finished runs of the arms that train recorded.

    Every epoch asks each question once, so the e-th time that rollouts answer a question is epoch e of the
    steps with rollouts: for a curriculum, epochs are counted from the first step that samples.
    """
    rows: list[tuple[object, ...]] = []
    unread = []
    for arm, seed, state in records.runs[["arm", "seed", "state"]].itertuples(index=False):
        if state != "finished" or records.study.runs[arm]["algorithm"] is None:
            continue
        found = list(_asked(run_directory(records.directory, arm, seed) / "metrics.jsonl"))
        rows += [(arm, seed, *entry) for entry in found]
        if not found:
            unread.append(f"{arm}, seed {seed}")
    return Answered(pd.DataFrame(rows, columns=COLUMNS), tuple(unread))


def _asked(path: Path) -> Iterator[tuple[str, int, int, int, float]]:
    """Yield level, question, epoch, step and accuracy."""
    times: Counter[int] = Counter()
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            levels = dict(record.get("rollout/levels", ()))
            for question, rate in record.get("rollout/solve_rates", ()):
                yield str(levels.get(question, UNTOLD)), question, times[question], record["step"], rate
                times[question] += 1


def matrix(table: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Return an arm's accuracy by level and question (rows) and epoch (columns), the mean over seeds."""
    own = table[table["arm"] == arm]
    return own.groupby(["level", "question", "epoch"])["accuracy"].mean().unstack("epoch")
