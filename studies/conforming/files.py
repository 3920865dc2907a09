"""Files of golden cases, and what comes of all their cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studies.conforming.cases import read_cases
from studies.conforming.routing import holds_routing, read_routing, run_routing
from studies.conforming.runner import Result, run_case


def run_files(paths: Sequence[Path]) -> list[Result]:
    """Return what comes of the cases of all files, in order; all are read before the first case runs.

    Raises:
        BadFile: A file holds no golden cases, or malformed ones.
    """
    routing = {path: read_routing(path) for path in paths if holds_routing(path)}
    losses = {path: read_cases(path) for path in paths if path not in routing}
    results = []
    for path in paths:
        if path in routing:
            results += [run_routing(case) for case in routing[path]]
        else:
            results += [run_case(case) for case in losses[path]]
    return results
