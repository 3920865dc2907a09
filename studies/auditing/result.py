"""What an audit found, as records hold it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.config import EngineConfig

SCHEMA = 1
_MEASURED = ("error", "residual", "norm_error", "drift", "drift_weights")


@dataclass(frozen=True)
class CellResult:
    """One configuration of the engine with one division of the rows.

    Args:
        zero_stage: ZeRO stage.
        offload: Whether optimizer states are in CPU memory.
        precision: "fp32" or "bf16".
        gradient_clip: Largest norm; None: no clip.
        micro_batches: Micro-batches of each rank: "1", "2", "4" or "ragged".
        ranks: Number of ranks.
        error: Largest |ĉ − c| over the step's largest |c|.
        residual: Largest entry of the gradient that is no token's, likewise.
        norm_error: Relative error of the reported gradient norm.
        drift: L2 distance of a transformer's weights from plain PyTorch's after five steps, over what the
            steps changed.
        drift_weights: The same, over the weights themselves.
        diagnoses: Names of the faults that explain it; none where it passed.
        details: What they did, in words.
    """

    zero_stage: int
    offload: bool
    precision: str
    gradient_clip: float | None
    micro_batches: str
    ranks: int
    error: float
    residual: float
    norm_error: float
    drift: float
    drift_weights: float
    diagnoses: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    @classmethod
    def failed(
        cls, engine: EngineConfig, micro_batches: str, ranks: int, name: str, reason: str
    ) -> CellResult:
        """Return the result of a configuration that nothing could be measured of."""
        return cls(
            zero_stage=engine.zero_stage,
            offload=engine.offload,
            precision=engine.precision,
            gradient_clip=engine.gradient_clip,
            micro_batches=micro_batches,
            ranks=ranks,
            **dict.fromkeys(_MEASURED, math.nan),
            diagnoses=(name,),
            details=(reason,),
        )

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.diagnoses


@dataclass(frozen=True)
class AuditResult:
    """An audit of one or more configurations.

    Args:
        cells: In the order in which they were audited.
        versions: Of python, torch and deepspeed, and where deepspeed was imported from.
    """

    cells: tuple[CellResult, ...]
    versions: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether every cell passed."""
        return all(cell.passed for cell in self.cells)

    @property
    def diagnoses(self) -> list[str]:
        """Names of the fewest faults that explain all cells that failed."""
        return list(common(cell.diagnoses for cell in self.cells))

    @property
    def worst_error(self) -> float:
        """The largest error of a coefficient, relative to its step's largest."""
        return max((cell.error for cell in self.cells if math.isfinite(cell.error)), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {
            "schema": SCHEMA,
            "passed": self.passed,
            "diagnoses": self.diagnoses,
            "worst_error": self.worst_error,
            "versions": dict(self.versions),
            "cells": [{"passed": cell.passed} | _known(dataclasses.asdict(cell)) for cell in self.cells],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> AuditResult:
        """Return what `to_json` wrote.

        Raises:
            ValueError: It is of another schema.
        """
        if record.get("schema") != SCHEMA:
            raise ValueError(
                f"the audit's record has schema {record.get('schema')!r}, this version reads {SCHEMA}; audit "
                "anew"
            )
        names = [field.name for field in dataclasses.fields(CellResult)]
        cells = [{name: cell[name] for name in names} for cell in record["cells"]]
        return cls(tuple(CellResult(**_read(cell)) for cell in cells), dict(record["versions"]))


def _known(cell: dict[str, Any]) -> dict[str, Any]:
    """Return a cell with None where a number was never measured: JSON has no NaN."""
    return {
        name: None if name in _MEASURED and not math.isfinite(value) else value
        for name, value in cell.items()
    }


def _read(cell: dict[str, Any]) -> dict[str, Any]:
    measured = {name: math.nan if cell[name] is None else cell[name] for name in _MEASURED}
    return cell | measured | {name: tuple(cell[name]) for name in ("diagnoses", "details")}


def merged(results: Sequence[AuditResult]) -> AuditResult:
    """Return the cells of several audits, made with the same versions, as one."""
    cells = [cell for result in results for cell in result.cells]
    return AuditResult(tuple(cells), results[0].versions if results else {})


def common(found: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the fewest faults that explain all red cells, most telling first.

    Two faults may do the same in one cell, such as a factor 2 with two ranks of two micro-batches each; the
    one that explains more of the others is meant. Where several explain as many, all are named.
    """
    left = [set(each) for each in found if each]
    named: list[str] = []
    while left:
        counts = {name: sum(name in each for each in left) for each in left for name in each}
        most = max(counts.values())
        best = sorted(name for name, count in counts.items() if count == most)
        named += best
        left = [each for each in left if not each & set(best)]
    return tuple(named)
