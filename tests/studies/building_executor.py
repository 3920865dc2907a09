"""Stands in for `studies.execute` as the toy executor does, and builds the run's algorithm first."""

from studies.configuring.parts import build_algorithm
from tests.studies import toy_executor


def execute(run, directory):
    if run.algorithm is not None:
        (directory / "algorithm").write_text(repr(build_algorithm(run.algorithm)))
    toy_executor.execute(run, directory)
