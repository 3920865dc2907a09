"""The audit of a study's own engines: made once, recorded in the study's folder, told by every table."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from studies.catalog import UsageError
from studies.directories import read_json, run_directory, run_state
from studies.record import RunConfig
from training.config import EngineConfig
from training.run_dir import write_atomically

Audit = Callable[[EngineConfig, int], Mapping[str, Any]]
"""Returns the audit of an engine on a number of ranks, as `AuditResult.to_json` has it."""

RECORD = "audit.json"
NOT_AUDITED = "not audited"


@dataclass(frozen=True)
class StudyAudit:
    """One engine of a study, and what its audit found.

    Args:
        engine: Fields of the configuration, but for the size of micro-batches: all are audited.
        ranks: Number of ranks.
        passed: Whether the engine applies the estimator's gradients.
        diagnoses: Names of the faults.
        despite: Faults that runs were made in spite of, as asked for by name.
        result: All that was found, as `AuditResult.to_json` has it.
    """

    engine: Mapping[str, Any]
    ranks: int
    passed: bool
    diagnoses: tuple[str, ...]
    despite: tuple[str, ...]
    result: Mapping[str, Any]

    def is_configured(self, engine: EngineConfig, ranks: int) -> bool:
        """Return whether this is the audit of that configuration, in whatever versions."""
        return (dict(self.engine), self.ranks) == (_described(engine), ranks)

    def is_of(self, engine: EngineConfig, ranks: int) -> bool:
        """Return whether this is the audit of that engine in the versions that are installed."""
        versions = {name: self.result["versions"].get(name) for name in ("torch", "deepspeed")}
        now = {name: metadata.version(name) for name in versions}
        return self.is_configured(engine, ranks) and versions == now


def audit_study(
    runs: Iterable[RunConfig],
    folder: Path,
    despite: Sequence[str],
    audit: Audit,
) -> None:
    """Audit the engines of all runs that are yet to train, unless they have been, and record what is found.

    Args:
        runs: Of the study.
        folder: The study's folder.
        despite: Faults that are accepted, by name.
        audit: How an engine is audited.

    Raises:
        UsageError: An engine does not apply the gradients that the estimator defines, and a fault that was
            found is not accepted.
    """
    held = read_study_audits(folder)
    due = [run for run in runs if run.algorithm is not None and not _finished(run, folder)]
    wanted = {(json.dumps(_described(run.train.engine)), run.ranks): run for run in due}
    for run in wanted.values():
        engine, ranks = run.train.engine, run.ranks
        place = next((i for i, each in enumerate(held) if each.is_of(engine, ranks)), None)
        if place is None:
            result = audit(engine, ranks)
            # What failed in other versions, and stopped the study, is no longer what it trains with.
            held = [
                each for each in held if each.passed or each.despite or not each.is_configured(engine, ranks)
            ]
            held.append(
                StudyAudit(
                    _described(engine), ranks, result["passed"], tuple(result["diagnoses"]), (), result
                )
            )
            place = len(held) - 1
        accepted = sorted({*held[place].despite, *(set(despite) & set(held[place].diagnoses))})
        held[place] = dataclasses.replace(held[place], despite=tuple(accepted))
        _write(folder, held)
        _refuse(held[place], folder)


def launch_audit(engine: EngineConfig, ranks: int) -> Mapping[str, Any]:
    """Audit an engine in processes of its own.

    Raises:
        UsageError: They did not start.
    """
    from studies.auditing.launch import Launch, LaunchError

    sys.stderr.write(f"auditing the engine: {_words(_described(engine), ranks)}\n")
    try:
        return Launch([engine], ranks).run().to_json()
    except LaunchError as error:
        raise UsageError(str(error)) from error


def read_study_audits(folder: Path) -> list[StudyAudit]:
    """Return the audits that a study's folder holds.

    Raises:
        UsageError: The record cannot be read.
    """
    path = folder / RECORD
    if not path.exists():
        return []
    try:
        entries = (read_json(path) or {})["audits"]
        return [
            StudyAudit(**entry | {key: tuple(entry[key]) for key in ("diagnoses", "despite")})
            for entry in entries
        ]
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}); delete it to have the engine audited anew"
        ) from error


def verdict(audits: Sequence[StudyAudit]) -> str:
    """Return what the audits of a study come to, in a word or with the names of the faults."""
    if not audits:
        return NOT_AUDITED
    faults = sorted({name for each in audits for name in each.diagnoses})
    return f"failed: {', '.join(faults)}" if faults else "passed"


def notes(audits: Sequence[StudyAudit]) -> list[str]:
    """Return the lines for a table: a warning for every engine that failed, and which ones passed."""
    failed = [
        f"WARNING: the gradient audit of this study's engine ({_told(each)}) failed: "
        f"{', '.join(each.diagnoses)}. Its runs were not trained with the gradients that algorithms define."
        for each in audits
        if not each.passed
    ]
    passed = [_told(each) for each in audits if each.passed]
    return failed + ([f"Gradient audit passed: {'; '.join(passed)}."] if passed else [])


def _described(engine: EngineConfig) -> dict[str, Any]:
    fields = dataclasses.asdict(engine)
    del fields["micro_batch_tokens"]
    return fields


def _finished(run: RunConfig, folder: Path) -> bool:
    return run_state(run_directory(folder, run.arm, run.seed)) == "finished"


def _told(audit: StudyAudit) -> str:
    return _words(audit.engine, audit.ranks)


def _words(engine: Mapping[str, Any], ranks: int) -> str:
    offload = ", offload" if engine["offload"] else ""
    return f"ZeRO {engine['zero_stage']}{offload}, {engine['precision']}, {ranks} rank{'s' * (ranks > 1)}"


def _write(folder: Path, audits: Sequence[StudyAudit]) -> None:
    record = {"audits": [dataclasses.asdict(each) for each in audits]}
    write_atomically(folder / RECORD, json.dumps(record, indent=1) + "\n")


def _refuse(audit: StudyAudit, folder: Path) -> None:
    unaccepted = [name for name in audit.diagnoses if name not in audit.despite]
    if unaccepted:
        raise UsageError(
            f"the gradient audit of this study's engine ({_told(audit)}) failed: {', '.join(unaccepted)}. "
            "Change the engine's settings or DeepSpeed's version, or run the study all the same, with a "
            f"warning in its tables: --despite-audit {' '.join(audit.diagnoses)}. What was measured is in "
            f"{folder / RECORD}"
        )
