"""What a file of golden cases may hold, and what is said of one that holds something else."""

import json

import pytest
import torch

from studies.conforming.cases import BadFile, read_cases
from studies.conforming.composition import rows_of

CASE = {
    "name": "first",
    "source": "somewhere",
    "algorithm": "grpo",
    "tags": ["core"],
    "params": {"loss_type": "grpo"},
    "inputs": {"logprobs": [[-1.0, -2.0]], "old_logprobs": None, "mask": [[1, 0]], "rewards": [None]},
    "expected": {"advantages": None, "loss": 0.5, "grad_logprobs": [[0.25, 0.0]]},
}


def written(tmp_path, content):
    path = tmp_path / "cases.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def changed(**changes):
    return {"options": "trl", "cases": [{**CASE, **changes}]}


@pytest.mark.parametrize(
    ("content", "peer"),
    [
        ({"options": "trl", "cases": [CASE]}, "trl"),
        ({"generator": "x.py", "verl": "0.9.1", "dtype": "float64", "cases": [CASE]}, "verl"),
        ({"trl": "1.16.0", "options": "trl", "cases": [CASE]}, "trl"),
        ([CASE], "reference"),
    ],
)
def test_a_file_tells_whose_options_its_cases_use(tmp_path, content, peer):
    assert [case.peer for case in read_cases(written(tmp_path, content))] == [peer]


def test_arrays_are_float64_and_nulls_are_left_out_or_not_a_number(tmp_path):
    inputs = {**CASE["inputs"], "reward_parts": {"format": [1], "accuracy": [0.5]}}
    (case,) = read_cases(written(tmp_path, changed(inputs=inputs)))
    assert {tensor.dtype for tensor in case.inputs.values()} == {torch.float64}
    assert set(case.inputs) == {
        "logprobs", "mask", "rewards", "reward_parts/format", "reward_parts/accuracy",
    }  # fmt: skip
    assert case.inputs["rewards"].isnan().all()
    assert set(case.expected) == {"loss", "grad_logprobs"}
    assert case.tags == ("core",)


def test_micro_batches_are_rows_not_expectations(tmp_path):
    expected = {**CASE["expected"], "micro_batches": [[0, 2], [1]]}
    (case,) = read_cases(written(tmp_path, changed(expected=expected)))
    assert case.micro_batches == ((0, 2), (1,))
    assert "micro_batches" not in case.expected


def test_on_policy_rows_have_the_policy_itself_as_behavior_policy(tmp_path):
    (case,) = read_cases(written(tmp_path, changed()))
    step, policy = rows_of(case)
    assert torch.equal(step.behavior_logp, policy.logp)
    assert torch.equal(step.current_logp, policy.logp)
    assert step.response_mask.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no golden cases"),
        ("3", "holds no golden cases"),
        ({"options": "trl", "cases": []}, "holds no golden cases"),
        ({"cases": [CASE]}, "must say whose options"),
        ({"options": "oat", "cases": [CASE]}, "one of trl, verl, reference; found oat"),
        ({"trl": "1", "verl": "2", "cases": [CASE]}, "found trl, verl"),
        ({"options": "trl", "cases": [3]}, "case 1 is not an object"),
        (changed(params=None), "case 1 has no params of type dict"),
        (changed(expected={"advantages": [1.0]}), "expected.loss is no number"),
        (changed(inputs={"logprobs": [[-1.0]]}), "inputs must hold a mask"),
        (changed(inputs={"mask": [[1]]}), "logprobs or vpreds"),
        (changed(inputs={**CASE["inputs"], "logprobs": [[-1.0], [-1.0, -2.0]]}), "logprobs is not a rect"),
        (changed(inputs={**CASE["inputs"], "logprobs": [["low"]]}), "logprobs is not a rect"),
        ({"options": "trl", "cases": [CASE, CASE]}, "two cases are called 'first'"),
    ],
)  # fmt: skip
def test_a_file_of_something_else_is_refused_with_the_reason(tmp_path, content, says):
    path = written(tmp_path, content)
    with pytest.raises(BadFile, match=says) as refusal:
        read_cases(path)
    assert str(path) in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadFile, match="No such file"):
        read_cases(tmp_path / "absent.json")
