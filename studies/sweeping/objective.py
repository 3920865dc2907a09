"""A trial's score: the mean over suites of what its last validations earned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.records import answers, read_header
from evaluation.statistics.scores import Score, mean_score
from studies.record import RunConfig
from studies.validation import validation_directory

SEED = "seed"


def validated(directory: Path, every: int, steps: int) -> list[int]:
    """Return the steps after which a run's policy was validated, those that are finished."""
    return [step for step in range(every, steps + 1, every) if _is_finished(directory, step)]


def _is_finished(directory: Path, step: int) -> bool:
    try:
        header = read_header(validation_directory(directory, step))
    except ValueError:  # it is being written
        return False
    return header is not None and header.finished


def last_validation(run: RunConfig, directory: Path) -> int:
    """Return the step after which a run's policy was last validated.

    Raises:
        ValueError: It never was.
    """
    assert run.validation.every is not None
    steps = validated(directory, run.validation.every, run.train.steps)
    if not steps:
        raise ValueError(f"{directory.name}: no validation, so that there is no score")
    return steps[-1]


def read_scores(directories: Sequence[Path], steps: Sequence[int]) -> pd.DataFrame:
    """Return a validation of each of a trial's runs, one for each seed, after the step of each."""
    rows = [
        {SEED: seed, "suite": each.suite, "question": each.question, "score": each.earned}
        for seed, (directory, step) in enumerate(zip(directories, steps, strict=True))
        for each in answers(validation_directory(directory, step))
    ]
    return pd.DataFrame(rows)


def score_of(scores: pd.DataFrame) -> Score:
    """Return the mean over suites, with its standard error.

    Args:
        scores: Columns seed, suite, question, score, of one validation a seed; samples of a question are
            averaged.
    """
    suites = [
        part.pivot_table(index=SEED, columns="question", values="score", observed=True).to_numpy(np.float64)
        for _, part in scores.groupby("suite", sort=True, observed=True)
    ]
    return mean_score(suites)


def finite(number: float) -> float | None:
    """Return a number, or None where it is none."""
    return number if math.isfinite(number) else None
