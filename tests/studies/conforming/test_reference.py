"""The released code's losses and training step: compositions against its numbers, and against its rules."""

from pathlib import Path

import pytest
from hypothesis import given, settings

from studies.conforming.cases import read_cases
from studies.conforming.runner import Verdict, run_case
from tests.studies.conforming.comparing import assert_released
from tests.studies.conforming.released_worlds import cells_of, function_cases, inputs_of, step_cases

PATH = Path(__file__).parents[4] / "shared" / "goldens" / "reference.json"
CASES = read_cases(PATH) if PATH.exists() else []
needs_goldens = pytest.mark.skipif(not CASES, reason=f"golden cases are missing: {PATH}")


@needs_goldens
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_a_composition_has_the_released_numbers(case):
    result = run_case(case)
    assert result.verdict is Verdict.PASS, result.reason
    assert result.error <= 1e-12


@settings(max_examples=100, deadline=None)
@given(function_cases())
def test_any_options_of_the_loss_functions_give_the_numbers_of_their_rules(drawn):
    params, seed = drawn
    inputs = inputs_of(params, seed)
    assert_released(params, inputs, cells_of(params, len(inputs["mask"]), seed))


@settings(max_examples=100, deadline=None)
@given(step_cases())
def test_any_options_of_the_training_step_give_the_numbers_of_its_rules(drawn):
    params, seed = drawn
    inputs = inputs_of(params, seed)
    assert_released(params, inputs, cells_of(params, len(inputs["mask"]), seed))
