"""What finished runs hold, put together into data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from studies.reporting.run_files import RunFrames

_Key = tuple[str, int]


def join(runs: Mapping[_Key, RunFrames]) -> dict[str, pd.DataFrame]:
    """Return the records of all finished runs as frames, by the names of `Records`."""
    samples = {key: each.samples for key, each in runs.items()}
    validations = {
        (*key, step): table for key, each in runs.items() for step, table in each.validations.items()
    }
    metrics = _rows({key: each.metrics for key, each in runs.items()})
    if len(metrics):
        numbers = dict.fromkeys(metrics.columns.difference(["arm", "seed", "step"]), "float64")
        metrics = metrics.astype({**numbers, "step": "int64"})
    return {
        "samples": _tables(samples, ["arm", "seed"]),
        "suites": _rows({key: each.suites for key, each in runs.items()}),
        "metrics": metrics,
        "validations": _scores(_tables(validations, ["arm", "seed", "step"])),
    }


def _tables(parts: Mapping[Any, pa.Table], keys: Sequence[str]) -> pd.DataFrame:
    """Return the tables below each other with the keys of each; repeated strings become categories."""
    if not parts:
        return pd.DataFrame({key: [] for key in keys})
    frame: pd.DataFrame = pa.concat_tables(parts.values()).unify_dictionaries().to_pandas()
    for name in frame.select_dtypes("category").columns:
        frame[name] = frame[name].cat.reorder_categories(sorted(frame[name].cat.categories))
    lengths = [len(table) for table in parts.values()]
    for key, values in zip(keys, zip(*parts, strict=True), strict=True):
        frame[key] = np.repeat(np.array(values, dtype=object if key == "arm" else "int64"), lengths)
    return frame.astype({"arm": "str"})


def _rows(parts: Mapping[_Key, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    rows = [row for part in parts.values() for row in part]
    if not rows:
        return pd.DataFrame({"arm": [], "seed": []})
    keys = [key for key, part in parts.items() for _ in part]
    return pd.DataFrame(rows).assign(arm=[arm for arm, _ in keys], seed=[seed for _, seed in keys])


def _scores(samples: pd.DataFrame) -> pd.DataFrame:
    """Return what each question of each validation scored."""
    if samples.empty:
        return pd.DataFrame({"arm": [], "seed": []})
    keys = ["arm", "seed", "step", "suite", "question"]
    grouped = samples.groupby(keys, sort=False, observed=True)["earned"]
    scores = grouped.agg(samples="count", score="mean").reset_index()
    return scores.astype({"suite": "str", "question": "str"})
