"""Scales: a base policy, a training set, evaluation suites and hyperparameters under one name."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluation.config import EvalConfig
from studies.validation import ValidationConfig
from training.config import TrainConfig

SUMS = (
    *("hpt", "hpt_off_on", "hpt_mix_on", "hpt_soft", "luffy", "srft"),
    "studies/sweep_gate_mix.py:gate_mix",
)
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
        policy_config: Entries of the policy's config.json that are changed when it is loaded, by name
            (`rope_theta`); the reference policy's and the critic's alike.
        ranks: Processes of a run, each with a GPU of its own where there are GPUs.
        validation: Evaluations in training.
    """

    name: str
    policy: str
    train_data: str
    train: TrainConfig
    evaluation: EvalConfig
    algorithm_arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int | None = None
    suite_data: str | None = None
    policy_config: Mapping[str, Any] = field(default_factory=dict)
    ranks: int = 1
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        if self.ranks < 1:
            raise ValueError(f"ranks={self.ranks} must be at least 1")


@dataclass(frozen=True)
class Times:
    """A setting of an arm in units of the scale's own, so that one study is right at every scale.

    Args:
        factor: What the scale's value is multiplied by.
    """

    factor: float

    def of(self, scale: Scale, key: str) -> float:
        """Return the setting's value at a scale; `key` is its dotted name."""
        own = float(functools.reduce(getattr, key.split("."), scale))  # type: ignore[arg-type]
        # 3e-4 · 0.1 is to be 3e-05, as one writes it.
        return float(f"{own * self.factor:.12g}")
