"""The audit of one configuration of the engine, on the ranks of one launch."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from studies.auditing.diagnosis import BOUNDS, Diagnosis, diagnose, errors
from studies.auditing.layout import CASES
from studies.auditing.probe import MakeEngine, observe
from studies.auditing.result import AuditResult, CellResult
from studies.auditing.transformer import Drift, drift
from studies.catalog import PROJECT
from training.config import EngineConfig
from training.engine import Engine
from training.ranks import Ranks
from training.update import NotFiniteError

DRIFT_BOUNDS = {"fp32": 2e-5, "bf16": 0.05}
"""Largest distance of a transformer's weights from plain PyTorch's after five steps, relative to what these
changed. In fp32 that is a few roundings a step; in bf16 each layer rounds by up to 2⁻⁸."""
DRIFTED = "optimizer_drift"
NOT_FINITE = "not_finite"


def audit_configuration(
    engine: EngineConfig,
    ranks: Ranks,
    make_engine: MakeEngine = Engine,
    told: Callable[[CellResult], object] = str,
) -> AuditResult:
    """Return whether the engine applies the gradients that the estimator defines.

    Called on every rank of one launch, after `join_ranks`; all are given the same result. It takes some
    seconds.

    Args:
        engine: What is audited: its ZeRO stage, offload, precision, checkpointing, clip and skipping.
            `micro_batch_tokens` are chosen for 1, 2, 4 and ragged numbers of micro-batches.
        ranks: The processes at hand.
        make_engine: Builds the engine: the trainer's own, or one with a fault planted in it.
        told: Hears of each cell.

    Raises:
        ValueError: The audit's rows can't be divided among so many ranks.
    """
    cells = []
    for case in CASES:
        cells.append(ranks.from_first(_cell(case, engine, ranks, make_engine)))
        told(cells[-1])
    return AuditResult(tuple(cells), versions())


def versions() -> dict[str, str]:
    """Return what was audited: versions, and the folder that deepspeed was imported from."""
    deepspeed: Any = sys.modules.get("deepspeed")
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "deepspeed": "not imported" if deepspeed is None else deepspeed.__version__,
        "deepspeed_from": "" if deepspeed is None else _place(Path(deepspeed.__file__).parents[1]),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _place(folder: Path) -> str:
    """Return a folder as any machine would name it: from the project's, or from the user's own."""
    for root, shown in ((PROJECT, ""), (Path.home(), "~/")):
        if folder.is_relative_to(root):
            return f"{shown}{folder.relative_to(root)}"
    return str(folder)


def _cell(case: str, engine: EngineConfig, ranks: Ranks, make_engine: MakeEngine) -> CellResult:
    try:
        steps = observe(case, engine, ranks.size, make_engine)
        drifted = drift(case, engine, ranks.size, make_engine)
    except NotFiniteError as error:
        return CellResult.failed(engine, case, ranks.size, NOT_FINITE, str(error))
    found = diagnose(steps, BOUNDS[engine.precision])
    if not found.faults:
        found = diagnose_drift(drifted, DRIFT_BOUNDS[engine.precision])
    each = [errors(step) for step in steps]
    return CellResult(
        *(engine.zero_stage, engine.offload, engine.precision, engine.gradient_clip),
        *(case, ranks.size),
        error=max(one.coefficient for one in each),
        residual=max(max(one.residual, one.stray) for one in each),
        norm_error=max(one.norm for one in each),
        drift=drifted.change,
        drift_weights=drifted.weights,
        diagnoses=found.faults,
        details=found.details,
    )


def diagnose_drift(found: Drift, bound: float) -> Diagnosis:
    """Return what is wrong of the optimizer's steps where each step's gradient is right."""
    if max(found.change, found.norm) <= bound:
        return Diagnosis((), ())
    detail = (
        f"single gradients are right, but five AdamW steps end {found.change:.1e} of their way off, the norm "
        f"by up to {found.norm:.1e}"
    )
    return Diagnosis((DRIFTED,), (detail,))
