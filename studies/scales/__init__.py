"""Scales: a base policy, a training set, evaluation suites and hyperparameters under one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluation.config import EvalConfig
from training.config import TrainConfig

SUMS = ("hpt", "hpt_off_on", "hpt_mix_on", "hpt_soft", "luffy", "srft")
"""Algorithms whose policy loss is a token sum over a constant, with an entropy bonus: the released code's."""


@dataclass(frozen=True)
class Scale:
    """Everything of a run that is neither its algorithm nor its seed.

    Args:
        name: What `--scale` takes.
        policy: Base policy: a Hugging Face model directory, or a name on the hub.
        train_data: Parquet file of the Openr1-Math-46k-8192 schema, or a dataset's name on the hub.
        train: Training settings.
        evaluation: Evaluation settings.
        algorithm_arguments: Arguments of algorithms by name, where the scale's differ from the function's
            defaults.
        threads: CPU threads of a worker; None leaves the choice to PyTorch. Fixed where results must not
            depend on how many workers there are.
        suite_data: Folder with the suites' jsonl files; None takes each task's own data set.
    """

    name: str
    policy: str
    train_data: str
    train: TrainConfig
    evaluation: EvalConfig
    algorithm_arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int | None = None
    suite_data: str | None = None
