import dataclasses

import pytest

from studies.catalog import UsageError
from studies.study import Arm, grid
from studies.sweeping.axes import first_values
from studies.sweeping.axis_texts import read_axes
from studies.sweeping.space import description, make_space
from studies.sweeping.sweep import find_sweep
from studies.sweeping.validating import in_distribution, validation_of
from tests.studies import toy

RATE = "train.optimizer.learning_rate=float(0.0001, 0.001, log)"


def space_of(*axes, study=toy.STUDY, arm=None, changes=()):
    return make_space(study, arm, toy.SCALE, read_axes(axes), changes)


def with_arms(*arms):
    return dataclasses.replace(toy.STUDY, arms=arms, baseline=None)


def test_a_trial_is_the_arm_with_its_values_set():
    space = space_of(
        "grpo.clip_low=float(0.1, 0.5)", "grpo.reinforce.mask=choice(KeepAll(), ClipMask(0.2))", RATE
    )
    values = {
        "grpo.clip_low": 0.3,
        "grpo.reinforce.mask": "KeepAll()",
        "train.optimizer.learning_rate": 0.0005,
    }
    first, second = space.runs(values, "swept", "trial-007", range(2))
    assert (first.study, first.arm, first.seed, second.seed) == ("swept", "trial-007", 0, 1)
    assert first.algorithm.arguments["clip_low"] == 0.3
    assert first.algorithm.parts == {"reinforce.mask": "KeepAll()"}
    assert first.train.optimizer.learning_rate == 0.0005


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        ("grpo.clip_lo=float(0, 1)", "did you mean clip_low"),
        ("grpoo.clip_low=float(0, 1)", "did you mean grpo"),
        ("train.optimizer.learning_rat=float(0, 1)", "did you mean train.optimizer.learning_rate"),
        ("hpt.gate=float(0, 1)", "no arm of this study uses hpt"),
        ("train.steps=int(0, 10)", "train.steps=0 must be at least 1"),
        ("grpo.clip_low=float(-1, 0.5)", "clip"),
        ("train.optimizer.learning_rate=choice(0.1, fast)", "fast"),
        ("grpo.reinforce.mask=choice(KeepAll(), ClipMusk(0.2))", "did you mean ClipMask"),
    ],
)
def test_an_axis_that_names_nothing_or_has_values_that_are_refused_is_told_before_any_trial(axis, told):
    with pytest.raises(UsageError) as refusal:
        space_of(axis, arm="grpo")
    assert str(refusal.value).startswith(f"--axis {axis.partition('=')[0]}=")
    assert told in str(refusal.value)


def test_what_is_wrong_with_set_is_not_laid_on_an_axis():
    with pytest.raises(UsageError, match=r"^unknown setting .train"):
        space_of("grpo.clip_low=float(0, 1)", changes=["train.stepps=3"])


def test_the_only_arm_that_the_axes_fit_is_swept_and_else_one_must_be_named():
    assert space_of("grpo.clip_low=float(0.1, 0.5)").study.arms[0].name == "grpo"
    with pytest.raises(UsageError, match=r"2 trained arms that the axes fit \(sft, grpo\); give one"):
        space_of(RATE)
    assert space_of(RATE, arm="sft").study.arms[0].name == "sft"
    with pytest.raises(UsageError, match="'spt' is none of those"):
        space_of(RATE, arm="spt")
    with pytest.raises(UsageError, match="say what is to be varied"):
        space_of()


def test_what_the_arm_sets_itself_can_be_swept():
    study = with_arms(*grid("hpt", gate=(0.0, 0.25), parts={"reinforce.mask": ("KeepAll()",)}))
    named = study.arms[1].name
    axes = ("hpt.gate=float(0, 1)", "hpt.reinforce.mask=choice(KeepAll(), ClipMask(0.2))")
    space = space_of(*axes, study=study, arm=named)
    run = space.runs({"hpt.gate": 0.75, "hpt.reinforce.mask": "ClipMask(0.2)"}, "s", "a", [0])[0]
    assert run.algorithm.arguments["gate"] == 0.75
    assert run.algorithm.parts["reinforce.mask"].startswith("ClipMask(")


def test_settings_of_the_study_and_of_the_arm_can_be_swept():
    study = with_arms(Arm("grpo", "grpo", settings={"train.steps": 2}))
    study = dataclasses.replace(study, settings={"train.optimizer.learning_rate": 0.1})
    space = space_of(RATE, "train.steps=int(4, 8)", study=study)
    run = space.runs({"train.optimizer.learning_rate": 0.0002, "train.steps": 5}, "s", "a", [0])[0]
    assert (run.train.optimizer.learning_rate, run.train.steps) == (0.0002, 5)


@pytest.mark.parametrize(("steps", "every"), [(80, 20), (6, 2), (10, 5), (7, 7)])
def test_the_last_step_is_always_validated(steps, every):
    run = space_of(RATE, arm="sft", changes=[f"train.steps={steps}"]).runs({}, "s", "a", [0])[0]
    assert run.validation.every == every
    assert run.validation.limit == 50


def test_validations_that_leave_the_last_step_out_are_refused():
    with pytest.raises(UsageError, match=r"take a divisor of train\.steps=6"):
        space_of(RATE, arm="sft", changes=["validation.every=4"])


def test_validations_are_the_studys_own_where_it_says_what_they_are():
    own = ["validation.every=3", "validation.limit=7", "validation.suites=tiny_add3", "validation.samples=2"]
    run = space_of(RATE, arm="sft", changes=own).runs({}, "s", "a", [0])[0]
    assert (run.validation.every, run.validation.limit, run.validation.samples) == (3, 7, 2)
    assert run.validation.suites == ("tiny_add3",)


def test_suites_out_of_the_training_distribution_are_not_validated_on():
    assert in_distribution(["tiny_add2", "tiny_subtract2", "tiny_add5"]) == ("tiny_add2", "tiny_add5")
    assert in_distribution(["tiny_subtract2"]) == ("tiny_subtract2",)


def test_the_predefined_sweep_composes_at_every_end_of_its_axes():
    found = find_sweep("sweep_gate_mix")
    from studies.catalog import find_scale

    scale = find_scale("tiny")
    space = make_space(found.study, None, scale, read_axes(found.sweep.axes), ())
    run = space.runs(first_values(space.axes), "s", "a", [0])[0]
    assert run.algorithm.arguments["length"] == 52
    assert validation_of(run).suites == ("tiny_add2", "tiny_add3", "tiny_add4", "tiny_add5")
    assert description(space, seeds=1)["axes"] == [str(axis) for axis in space.axes]
