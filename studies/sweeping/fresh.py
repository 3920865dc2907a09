"""What the best trial scores on fresh seeds, and on questions that no trial was chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.statistics.scores import Score, mean_score
from studies.reporting.records import read_records
from studies.sweeping.export import SweepRecord
from studies.sweeping.rerun import rerun_name
from studies.sweeping.trials import Trial


class Fresh(NamedTuple):
    """Scores with the number of questions that each is over, by which questions these are."""

    seeds: Sequence[int]
    scores: Mapping[str, tuple[Score, int]]


def fresh_scores(folder: Path, sweep: SweepRecord, best: Trial, asked: pd.DataFrame) -> Fresh | None:
    """Return what a trial's fresh runs scored; None where there are none that finished.

    Args:
        folder: The sweep's; that of the fresh runs lies beside it.
        sweep: The sweep.
        best: The trial.
        asked: Validations of the trial: their questions helped to choose it.
    """
    beside = folder.resolve().parent / rerun_name(sweep.name, best)
    if not (beside / "study.json").exists():
        return None
    samples = read_records(beside).samples
    suites = sweep.description["run"]["validation"]["suites"]
    if samples.empty:
        return None
    earned = samples[samples["suite"].isin(suites)]
    known = set(zip(asked["suite"], asked["question"], strict=True)) if len(asked) else set()
    unseen = [pair not in known for pair in zip(earned["suite"], earned["question"], strict=True)]
    groups = {"all": earned, "not asked in validation": earned[unseen]}
    scores = {
        name: _score(group) for name, group in groups.items() if len(group) and (known or name == "all")
    }
    return Fresh(sorted(samples["seed"].unique().tolist()), scores)


def _score(samples: pd.DataFrame) -> tuple[Score, int]:
    suites = [
        part.pivot_table(index="seed", columns="question", values="earned", observed=True).to_numpy(
            np.float64
        )
        for _, part in samples.groupby("suite", observed=True)
    ]
    return mean_score(suites), sum(suite.shape[1] for suite in suites)
