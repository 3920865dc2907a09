"""Evaluations of a policy while it is trained."""

import json

import pytest

from evaluation.config import EvalConfig
from studies.configuring.identity import write_description
from studies.configuring.requested import request
from studies.directories import run_directory
from studies.execute import execute
from studies.reporting.records import read_records
from studies.validation import ValidationConfig, validation_directory

FINAL = EvalConfig(("add", "sub"), samples=4, temperature=0.5, suite_samples={"add": 8}, limit=50)


@pytest.mark.parametrize("name", ["every", "samples", "limit"])
def test_what_must_be_at_least_1_is_refused_by_its_name(name):
    with pytest.raises(ValueError, match=rf"validation.{name}=0 must be at least 1"):
        ValidationConfig(**{name: 0})


def test_it_is_due_after_every_so_many_steps():
    assert [step for step in range(1, 11) if ValidationConfig(every=3).due(step)] == [3, 6, 9]
    assert not any(ValidationConfig().due(step) for step in range(1, 11))


def test_its_protocol_is_the_final_ones_but_for_what_it_says():
    plain = ValidationConfig(every=1).protocol(FINAL)
    assert (plain.suites, plain.samples, plain.suite_samples, plain.limit) == (("add", "sub"), 1, {}, None)
    assert (plain.temperature, plain.top_p, plain.max_response_tokens) == (
        0.5,
        FINAL.top_p,
        FINAL.max_response_tokens,
    )
    own = ValidationConfig(every=1, suites=("sub",), samples=2, limit=3).protocol(FINAL)
    assert (own.suites, own.samples, own.limit) == (("sub",), 2, 3)
    assert own.samples_of("add") == 2


def test_folders_sort_by_step(tmp_path):
    steps = [1, 9, 10, 100, 99_999]
    folders = [validation_directory(tmp_path, step) for step in steps]
    assert sorted(folders) == folders
    assert folders[0] == tmp_path / "validation" / "step-000001"


CHANGES = (
    "train.steps=4", "train.questions_per_step=2", "train.rollout.samples=2", "train.checkpoint_every=2",
    "validation.suites=('tiny_add2',)", "validation.limit=3", "validation.samples=2",
    "evaluation.limit=2", "evaluation.samples=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """A run of four steps that was validated after two and after four, and the same without validation."""
    runs = {}
    for name, changes in {"with": (*CHANGES, "validation.every=2"), "without": CHANGES}.items():
        resolved = request("ablation_gate", ("tiny",), 1, changes).resolved
        folder = tmp_path_factory.mktemp(name) / "ablation_gate"
        run = next(each for each in resolved.runs if each.arm == "grpo")
        folder.mkdir()
        write_description(resolved, folder)
        execute(run, run_directory(folder, run.arm, run.seed))
        runs[name] = folder
    return runs


def test_a_run_is_validated_with_the_protocol_it_was_told(validated):
    run = validated["with"] / "runs" / "grpo-seed0"
    assert sorted(path.name for path in (run / "validation").iterdir()) == ["step-000002", "step-000004"]
    header = json.loads((run / "validation/step-000002/eval.json").read_text())
    assert header["finished"]
    assert list(header["suites"]) == ["tiny_add2"]
    assert (header["suites"]["tiny_add2"]["questions"], header["suites"]["tiny_add2"]["samples"]) == (3, 2)
    scores = read_records(validated["with"]).validations
    assert sorted(set(scores["step"])) == [2, 4]
    assert set(scores["samples"]) == {2}
    assert len(scores) == 2 * 3
    assert scores["score"].between(0, 1).all()


def test_a_validation_changes_neither_training_nor_the_final_answers(validated):
    found = {}
    for name, folder in validated.items():
        run = folder / "runs" / "grpo-seed0"
        steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        answers = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
        found[name] = (
            [{k: v for k, v in step.items() if not k.startswith("time/")} for step in steps],
            [(each["question"], each["response"]) for each in answers],
        )
    assert found["with"] == found["without"]
