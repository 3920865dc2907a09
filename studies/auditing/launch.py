"""Launches of the audit: each number of ranks in processes of its own, with its imports and its talk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studies.auditing.result import AuditResult, CellResult, merged
from studies.catalog import PROJECT
from studies.running.launching import python_command
from studies.running.pool import TAIL_LINES, THREAD_VARIABLES
from training.config import EngineConfig

CRASHED = "crashed"
_ERROR = re.compile(r"(?:\[rank\d+\]: )?(\w*(?:Error|Exception)\b.*)")
TOLD = "audited | "
"""How lines begin by which a launch tells of a cell."""


class LaunchError(Exception):
    """The processes of an audit did not start; the message holds the last that they said."""


@dataclass(frozen=True)
class Launch:
    """What one launch audits.

    Args:
        engines: Configurations.
        ranks: Processes.
        plant: Name of a fault to plant; None: none.
        environment: What is changed of this process's environment.
    """

    engines: Sequence[EngineConfig]
    ranks: int
    plant: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> AuditResult:
        """Return what the processes find; their cells are told on standard error.

        A configuration that ends them is a failure; they are started anew for those after it.

        Raises:
            LaunchError: They did not start.
        """
        found: list[AuditResult] = []
        left = list(self.engines)
        while left:
            made, said = self._start(left)
            found += made
            left = left[len(made) :]
            if left:
                found.append(self._crashed(left.pop(0), said, made or found))
        return merged(found)

    def _start(self, engines: Sequence[EngineConfig]) -> tuple[list[AuditResult], list[str]]:
        """Return the audits of the configurations up to the first that ends the processes, and their talk."""
        with tempfile.TemporaryDirectory(prefix="quartet-audit-") as folder:
            request, result = Path(folder) / "request.json", Path(folder) / "result.json"
            asked = {
                "engines": [dataclasses.asdict(engine) for engine in engines],
                "plant": self.plant,
                "driver": os.getpid(),
            }
            request.write_text(json.dumps(asked), encoding="utf-8")
            said = self._carry_out([str(request), str(result)])
            if not result.is_file():
                last = "\n".join(said[-TAIL_LINES:])
                raise LaunchError(f"the audit on {self.ranks} ranks did not start:\n{last}")
            records = json.loads(result.read_text(encoding="utf-8"))
        return [AuditResult.from_json(record) for record in records], said

    def _crashed(
        self, engine: EngineConfig, said: Sequence[str], others: Sequence[AuditResult]
    ) -> AuditResult:
        reasons = [line for line in said if _ERROR.match(line)]
        reason = _ERROR.sub(r"\1", reasons[0]) if reasons else "its processes ended without a word"
        cell = CellResult.failed(engine, "all", self.ranks, CRASHED, reason)
        sys.stderr.write(f"{TOLD}{cell.zero_stage} {cell.precision}: {reason}\n")
        return AuditResult((cell,), others[0].versions if others else {})

    def _carry_out(self, arguments: Sequence[str]) -> list[str]:
        """Run the processes to their end and return what they said beside cells."""
        command = python_command(self.ranks, "studies.auditing.worker", arguments)
        said: list[str] = []
        with subprocess.Popen(
            command,
            cwd=PROJECT,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            assert process.stderr is not None
            try:
                for line in process.stderr:
                    if line.startswith(TOLD):
                        sys.stderr.write(line)
                    else:
                        said.append(line.rstrip())
            finally:
                # Nothing is left behind when this process is interrupted.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        return said

    def _environment(self) -> dict[str, str]:
        ours = os.environ | dict.fromkeys(THREAD_VARIABLES, "1") | {"PYTHONWARNINGS": "ignore"}
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            ours.pop(name, None)
        return ours | dict(self.environment)
