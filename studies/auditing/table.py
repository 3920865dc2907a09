"""The audit's table: for the terminal, and as a document that says how it was made."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from studies.auditing.result import AuditResult, CellResult

HEADER = ("ZeRO", "precision", "clip", "ranks", "micro-batches", "error", "norm", "drift", "verdict")
NOTE = (
    "Error: largest |ĉ − c| over the step's largest |c|, where c is what the estimator gives a response "
    "token and ĉ what the engine's change of the weights reveals, or what of the gradient is no token's; "
    "passes up to 1e-5 in fp32 and 2⁻⁷ = 7.8e-3 in bf16. Norm: relative error of the reported gradient norm, "
    "likewise. Drift: L2 distance of a small transformer's weights from plain PyTorch's after five AdamW "
    "steps, over what these changed; up to 2e-5 and 5e-2."
)


def cells(cell: CellResult) -> tuple[str, ...]:
    """Return a cell's row."""
    return (
        f"{cell.zero_stage}{' offload' if cell.offload else ''}",
        cell.precision,
        "none" if cell.gradient_clip is None else f"{cell.gradient_clip:g}",
        str(cell.ranks),
        cell.micro_batches,
        _shown(max(cell.error, cell.residual)),
        _shown(cell.norm_error),
        _shown(cell.drift),
        "pass" if cell.passed else f"FAIL: {', '.join(cell.diagnoses)}",
    )


def _shown(error: float) -> str:
    return f"{error:.1e}" if math.isfinite(error) else "–"


def summary(result: AuditResult) -> str:
    """Return how many cells passed, and what explains those that did not."""
    red = sum(not cell.passed for cell in result.cells)
    text = f"{len(result.cells)} cells: {len(result.cells) - red} pass"
    return f"{text}, {red} FAIL: {', '.join(result.diagnoses)}" if red else text


def versions(result: AuditResult) -> str:
    """Return what was audited."""
    found = result.versions
    return (
        f"deepspeed {found['deepspeed']} (from {found['deepspeed_from']}), torch {found['torch']}, "
        f"Python {found['python']}, {found['machine']}"
    )


def as_text(result: AuditResult) -> str:
    """Return the table with its summary, and what is wrong in words; in columns, and markdown too."""
    rows = [HEADER, *map(cells, result.cells)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    rows.insert(1, tuple("-" * width for width in widths))
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    return "\n".join([*lines, "", f"{summary(result)}.", *_wrong(result.cells)])


def as_markdown(result: AuditResult, command: str) -> str:
    """Return the table as a document."""
    return "\n".join(
        [
            "# Gradient audit",
            "",
            as_text(result),
            "",
            f"{NOTE}",
            "",
            f"Audited: {versions(result)}.",
            "",
            "Reproduce:",
            "",
            f"    {command}",
            "",
        ]
    )


def write_record(result: AuditResult, folder: Path, command: str) -> None:
    """Write table.md and audit.json into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(as_markdown(result, command), encoding="utf-8")
    record = {"command": command, **result.to_json()}
    (folder / "audit.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _wrong(found: Sequence[CellResult]) -> list[str]:
    """Return, for every cell that failed, what was seen."""
    lines = []
    for cell in found:
        place = " ".join(cells(cell)[:4])
        lines += [f"- {place}, {cell.micro_batches} micro-batches: {detail}" for detail in cell.details]
    return ["", *lines] if lines else []
