"""The best trial of a sweep, run again on seeds that had no part in finding it."""

from __future__ import annotations

import sys
from pathlib import Path

from studies.configuring.identity import check_identity, write_description
from studies.configuring.resolve import Resolved
from studies.directories import folder_lock
from studies.reporting.report import write_report
from studies.running.driver import Driver, Outcome
from studies.running.live import make_progress
from studies.sweeping.space import Space
from studies.sweeping.trials import Trial


def rerun_name(sweep: str, trial: Trial) -> str:
    """Return the name of the study that a trial's fresh runs make; its folder lies beside the sweep's."""
    return f"{sweep}_{trial.arm}"


def resolve_rerun(space: Space, sweep: str, best: Trial, seeds: range) -> Resolved:
    """Return a trial's runs on fresh seeds, which validate nothing."""
    return space.resolve(best.values, seeds, rerun_name(sweep, best))


def run_again(resolved: Resolved, results: Path, workers: int, execute: str, reproduce: str) -> Outcome:
    """Run the best trial on fresh seeds, and write the tables of that; what is there already stays."""
    folder = results / resolved.study.name
    check_identity(resolved, folder)
    with folder_lock(folder):
        write_description(resolved, folder)
        outcome = Driver(resolved, folder, workers, execute, make_progress(sys.stderr)).drive()
        if outcome.stopped_by is None:
            write_report(folder, folder, None, reproduce)
    return outcome
