"""Every golden case of TRL and verl comes out of a composition of parts."""

import json
from pathlib import Path

import pytest

from studies.conforming.cases import read_cases
from studies.conforming.runner import FLOAT32_TOLERANCE, TOLERANCE, Verdict, run_case
from tests.studies.conforming.make_samples import DATA, samples
from tests.studies.conforming.make_samples import FILES as WRITTEN

SHARED = Path(__file__).parents[4] / "shared" / "goldens"
GOLDENS = [SHARED / "trl.json", SHARED / "verl.json"]
SAMPLES = [DATA / f"{name}.json" for name in WRITTEN]


def cases_of(paths):
    return [pytest.param(case, id=case.name) for path in paths if path.exists() for case in read_cases(path)]


@pytest.mark.skipif(not GOLDENS[0].exists(), reason=f"golden cases are missing: {SHARED}")
@pytest.mark.parametrize("case", cases_of(GOLDENS))
def test_the_librarys_numbers_come_out_of_our_parts(case):
    result = run_case(case)
    assert result.verdict is Verdict.PASS, f"{result.where}: {result.error} {result.reason}"


@pytest.mark.parametrize("case", cases_of(SAMPLES))
def test_numbers_of_losses_written_out_with_autograd_come_out_of_our_parts(case):
    result = run_case(case)
    assert result.verdict is Verdict.PASS, f"{result.where}: {result.error} {result.reason}"


def test_tolerances_are_those_of_the_golden_cases():
    assert (TOLERANCE, FLOAT32_TOLERANCE) == (1e-9, 1e-5)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_sample_files_are_what_their_generator_writes(path):
    stored = json.loads(path.read_text())["cases"]
    for old, new in zip(stored, samples()[path.stem], strict=True):
        assert {**old, "inputs": None, "expected": None} == {**new, "inputs": None, "expected": None}
        assert old["inputs"] == new["inputs"]
        for name, values in new["expected"].items():
            # The libraries' exp and log differ in the last digit from machine to machine.
            assert _flat(old["expected"][name]) == pytest.approx(_flat(values), rel=1e-12, abs=1e-12)


def _flat(values):
    if not isinstance(values, list):
        return [0.0 if values is None else values]
    return [number for value in values for number in _flat(value)]
