import dataclasses
import json

import pytest

from algorithms import ALGORITHMS
from studies.catalog import PROJECT, UsageError, find_scale
from studies.configuring.changes import read_changes
from studies.configuring.identity import check_identity, write_description
from studies.configuring.resolve import check_inputs, resolve
from studies.configuring.settings import apply_settings, parse_value, setting_types
from studies.record import from_json, to_json
from studies.study import Arm, Study, grid
from tests.studies import toy

STUDY = Study("s", "S", (Arm("base"), Arm("grpo", "grpo"), *grid("hpt", gate=(0.0, 0.25))))
SCALE = dataclasses.replace(toy.SCALE, algorithm_arguments={"hpt": {"sft_weight": 0.3, "gate": 0.5}})


def resolved(*texts, study=STUDY, scale=SCALE, seeds=(0,)):
    return resolve(study, [scale], seeds, read_changes(study, texts))


def arm(name, *texts, **more):
    return next(run for run in resolved(*texts, **more).runs if run.arm == name)


def test_arguments_come_from_the_arm_then_the_command_then_the_scale_then_the_function():
    arguments = arm("hpt gate=0.25", "hpt.entropy_weight=0.01").algorithm.arguments
    assert arguments == {"gate": 0.25, "entropy_weight": 0.01, "sft_weight": 0.3, "length": 8192}
    assert arm("hpt gate=0.25", "hpt.sft_weight=0.7").algorithm.arguments["sft_weight"] == 0.7


def test_settings_come_from_the_command_then_the_arm_then_the_scale():
    study = Study("s", "S", (Arm("a", "sft", settings={"train.steps": 3}), Arm("b", "sft")))
    assert [run.train.steps for run in resolved(study=study).runs] == [3, 6]
    assert [run.train.steps for run in resolved("train.steps=4", study=study).runs] == [4, 4]


def test_runs_are_every_arm_of_a_seed_before_the_next_and_equal_but_for_it():
    runs = resolved(seeds=(0, 3)).runs
    assert [(run.arm, run.seed) for run in runs][:5] == [(a.name, 0) for a in STUDY.arms] + [("base", 3)]
    assert dataclasses.replace(runs[4], seed=0) == runs[0]
    assert all(from_json(json.loads(json.dumps(to_json(run)))) == run for run in runs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.stepz=1", "unknown setting 'train.stepz'; did you mean train.steps"),
        ("trian.steps=1", "did you mean train"),
        ("train.steps", "must be key=value"),
        ("train.steps=abc", r"--set train.steps=abc: input should be a valid integer"),
        ("train.steps=1.5", "integer"),
        ("train.steps=True", "integer"),
        ("train.steps=0", "train.steps=0 must be at least 1"),
        ("train.engine.zero_stage=7", "zero_stage=7: input should be 0, 1, 2 or 3"),
        ("train.optimizer.learning_rate=nan", "must be finite"),
        ("train.updates_per_step=3", "must be a multiple of"),
        ("evaluation.suites=tiny_ad2", "unknown suite 'tiny_ad2'; did you mean tiny_add2"),
        ("hpt.gat=1", "unknown argument of hpt 'gat'; did you mean gate"),
        ("hpt.length=long", "hpt.length=long"),
        ("hpt.gate=0.1", r"hpt.gate: the study sets this itself \(hpt gate=0.0: 0.0, hpt gate=0.25: 0.25\)"),
        ("dr_grpo.length=1", "no arm of this study uses dr_grpo"),
        ("name=other", "unknown setting 'name'"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_with_what_would_do(text, message):
    with pytest.raises(UsageError, match=message):
        resolved(text)


def test_a_setting_given_twice_is_refused():
    with pytest.raises(UsageError, match="given twice, as 1 and 2"):
        resolved("train.steps=1", "train.steps=2")


def test_a_setting_that_the_study_compares_is_refused():
    arms = tuple(
        Arm(f"lr {value}", "sft", settings={"train.optimizer.learning_rate": value}) for value in (1e-3, 1e-4)
    )
    with pytest.raises(UsageError, match="compares values of this setting"):
        resolved("train.optimizer.learning_rate=1", study=Study("s", "S", arms))


def test_a_value_that_the_algorithm_refuses_is_found_before_anything_runs():
    study = Study("s", "S", (Arm("odd", "grpo", {"clip_low": -3.0}),))
    with pytest.raises(UsageError, match=r"arm 'odd': grpo\(clip_low=-3.0.*"):
        resolved(study=study)


def needs_value(*, value):
    return ALGORITHMS["sft"]()


def no_algorithm(*, value: int = 1):
    return value


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (Study("s", "S", (Arm("a", needs_value),)), "has no default"),
        (Study("s", "S", (Arm("a", no_algorithm),)), "returned a int"),
        (Study("s", "S", (Arm("a b"), Arm("a-b"))), "would share a folder"),
        (Study("s", "S", (Arm("a", None, {"x": 1}),)), "no algorithm"),
        (Study("s/t", "S", (Arm("a"),)), "cannot be a folder's"),
        (Study("s", "S", (Arm("a", "grpo", {"clip": 1}),)), "unknown argument of grpo 'clip'"),
        (Study("s", "S", (Arm("a", "gpro"),)), r"did you mean .*\bgrpo\b"),
        (Study("s", "S", (Arm("a", settings={"train.step": 1}),)), "did you mean train.steps"),
    ],
)
def test_a_study_that_cannot_run_is_refused(study, message):
    with pytest.raises(UsageError, match=message):
        resolved(study=study)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("train.steps", "10", 10),
        ("train.optimizer.learning_rate", "1e-4", 1e-4),
        ("train.optimizer.betas", "0.9,0.95", (0.9, 0.95)),
        ("train.optimizer.betas", "(0.9, 0.95)", (0.9, 0.95)),
        ("train.engine.offload", "true", True),
        ("train.engine.zero_stage", "2", 2),
        ("train.engine.gradient_clip", "none", None),
        ("evaluation.limit", "None", None),
        ("evaluation.suites", "tiny_add2,tiny_add3", ("tiny_add2", "tiny_add3")),
        ("evaluation.suites", "tiny_add2", ("tiny_add2",)),
        ("train.prompt_template", "7", "7"),
        ("threads", "2", 2),
    ],
)
def test_text_is_read_by_the_type_of_its_field(key, text, value):
    found = parse_value(key, text, setting_types()[key])
    assert found == value
    assert type(found) is type(value)


def test_settings_that_limit_each_other_are_applied_together():
    scale = apply_settings(toy.SCALE, {"train.questions_per_step": "9", "train.updates_per_step": "3"})
    assert scale.train.questions_per_step == 9


def test_a_path_is_recorded_relative_to_the_project(monkeypatch):
    monkeypatch.chdir(PROJECT / "tests")
    assert apply_settings(toy.SCALE, {"policy": "studies"}).policy == "tests/studies"
    assert apply_settings(toy.SCALE, {"policy": "Qwen/Qwen2.5"}).policy == "Qwen/Qwen2.5"


def test_study_json_names_no_folder_of_this_machine():
    study = Study("s", "S", (Arm("a", needs_value, {"value": 1}),))
    text = json.dumps(resolved(study=study).description())
    assert str(PROJECT) not in text
    assert "tests/studies/configuring/test_resolve.py:needs_value" in text


@pytest.fixture
def made(tmp_path):
    write_description(resolved(), tmp_path)
    return tmp_path


def test_the_same_study_with_other_seeds_or_title_may_go_on(made):
    check_identity(
        resolved(seeds=(0, 1, 2), study=dataclasses.replace(STUDY, title="Other", baseline="grpo")), made
    )


def test_another_configuration_is_refused_key_by_key(made):
    changes = ("train.steps=9", "hpt.sft_weight=1.0")
    with pytest.raises(UsageError) as refusal:
        check_identity(resolved(*changes), made)
    lines = str(refusal.value).splitlines()
    assert "  train.steps: 6 there, 9 now" in lines
    hpt = "  algorithm.arguments.sft_weight: 0.3 there, 1.0 now (arm hpt gate=0.0, hpt gate=0.25)"
    assert hpt in lines
    assert len(lines) == 4


def test_other_arms_are_refused(made):
    with pytest.raises(UsageError, match="arms: "):
        check_identity(resolved(study=dataclasses.replace(STUDY, arms=STUDY.arms[:2])), made)


def test_a_run_made_otherwise_is_found_without_study_json(tmp_path):
    directory = tmp_path / "runs" / "grpo-seed0"
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps({"run": to_json(arm("grpo"))}))
    check_identity(resolved(), tmp_path)
    with pytest.raises(UsageError, match=r"train.steps: 6 there, 9 now \(arm grpo\)"):
        check_identity(resolved("train.steps=9"), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("policy=tests/studies", "no model lies there"),
        ("policy=/no/such", "no model lies there"),
        ("suite_data=tests/studies", "no such file of questions"),
        ("train_data=tests/no.parquet", "no.parquet does not exist"),
    ],
)
def test_inputs_that_are_missing_are_named_before_anything_runs(change, message):
    tiny = resolve(STUDY, [find_scale("tiny")], (0,), read_changes(STUDY, [change]))
    with pytest.raises(UsageError, match=message):
        check_inputs(tiny.runs)


def test_the_tiny_scales_inputs_are_all_there():
    check_inputs(resolve(STUDY, [find_scale("tiny")], (0,)).runs)
