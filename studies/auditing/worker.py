"""One launch of the audit: `python -m studies.auditing.worker REQUEST RESULT`, on one rank or on several.

REQUEST is a JSON file: `engines`, a list of the fields of `EngineConfig`, `plant`, the name of a fault or
null, and `driver`, the process that started the launch. The first rank writes what each was found to
do to RESULT as a list, and tells of each cell on its standard error.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from studies.auditing.configuration import audit_configuration
from studies.auditing.planted import PLANTS
from studies.auditing.result import CellResult
from studies.auditing.table import cells
from studies.running.orphans import end_with
from training.config import EngineConfig
from training.engine import Engine
from training.ranks import Ranks, join_ranks


def main() -> None:
    """Audit what is asked for."""
    request, result = Path(sys.argv[1]), Path(sys.argv[2])
    asked = json.loads(request.read_text(encoding="utf-8"))
    end_with(asked["driver"])
    torch.set_num_threads(1)  # the tensors are tiny
    warnings.simplefilter("ignore")  # DeepSpeed calls what torch has renamed
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    ranks = join_ranks()
    plant = asked["plant"]
    records: list[dict[str, Any]] = []
    make, told = Engine if plant is None else PLANTS[plant], _tell if ranks.first else str
    _write(ranks, result, records)
    for engine in asked["engines"]:
        records.append(audit_configuration(EngineConfig(**engine), ranks, make, told).to_json())
        _write(ranks, result, records)  # a later one may end this process
    torch.distributed.destroy_process_group()


def _write(ranks: Ranks, result: Path, records: Sequence[dict[str, Any]]) -> None:
    if ranks.first:
        result.write_text(json.dumps(records), encoding="utf-8")


def _tell(cell: CellResult) -> None:
    sys.stderr.write(f"audited | {' | '.join(cells(cell))}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
