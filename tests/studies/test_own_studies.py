import dataclasses

import pytest

from algorithms import grpo
from studies.ablation_budget import ALGORITHMS, CANNOT_SPEND, TINY_BUDGETS, TINY_SFT_STEPS, study
from studies.ablation_components import PARTS, combinations
from studies.catalog import SCALES, STUDIES, UsageError, find_scale, find_study
from studies.configuring.parts import build_algorithm
from studies.configuring.requested import request
from studies.configuring.resolve import resolve
from studies.explaining.behavior import behavior
from studies.explaining.conditions import Settings
from studies.explaining.standing import same_coefficients
from studies.reporting.factorial import aliases, design_of
from studies.reporting.sections import SECTIONS
from studies.study import Arm, Study, Times
from training.stages import stage_starts

OWN = ("ablation_components", "ablation_budget", "noise_floor", "learning_rates")


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("scale", sorted(SCALES))
def test_every_study_resolves_at_every_scale(name, scale):
    found = request(name, [scale], None)
    assert len(found.resolved.runs) == len(found.study.arms) * len(found.study.seeds)


@pytest.mark.parametrize("name", OWN)
def test_every_study_is_listed_and_its_sections_are_known(name):
    assert STUDIES[name] == f"studies.{name}"
    assert set(find_study(name).sections) <= set(SECTIONS)


def components():
    [scale] = [find_scale("tiny")]
    whole = dataclasses.replace(find_study("ablation_components"), arms=combinations(fraction=False))
    return resolve(whole, [scale], (0,)).description()["runs"]


def test_no_combination_of_the_five_parts_is_refused():
    assert len(components()) == 32


def test_the_fraction_holds_grpo_itself_and_keeps_effects_apart_from_each_other():
    whole = find_study("ablation_components")
    resolved = request("ablation_components", ["tiny"], None).resolved
    first = build_algorithm(resolved.runs[0].algorithm)
    assert first == grpo()
    assert resolved.runs[0].arm == whole.baseline
    assert resolved.runs[0].train.updates_per_step > 1, "or policy and behavior are the same"
    design = design_of(resolved.description()["runs"], whole.baseline)
    assert [factor.name for factor in design.factors] == sorted(part.rpartition(".")[2] for part in PARTS)
    assert len(design.codes) == 16
    shown = {" × ".join(term) for term in design.terms}
    told = aliases(design)
    assert len(told) == len(design.terms) == 15
    assert not {other.lstrip("−") for same in told.values() for other in same} & {*shown, "mean"}


def test_under_the_current_policy_mask_and_likelihood_do_nothing_and_elsewhere_every_part_does():
    settings = Settings(samples=8, updates=4)
    runs = components()
    done = [
        (name, behavior(build_algorithm_of(run), settings.samples, settings.relaxed))
        for name, run in runs.items()
    ]
    groups = []
    for name, found in done:
        same = [group for group in groups if same_coefficients(found, group[0][1])]
        (same[0] if same else groups.append([]) or groups[-1]).append((name, found))
    sizes = sorted(len(group) for group in groups)
    # 16 with BehaviorPolicy, each of its own, and 4 of 4 with CurrentPolicy.
    assert sizes == [1] * 16 + [4] * 4
    for group in groups:
        assert all("current" in name for name, _ in group) == (len(group) == 4)


def build_algorithm_of(run):
    from studies.record import AlgorithmRecord

    return build_algorithm(AlgorithmRecord(**run["algorithm"]))


def test_all_algorithms_are_compared_under_every_budget_with_a_baseline_that_can_spend_it():
    whole = find_study("ablation_budget")
    runs = request("ablation_budget", ["tiny"], 1).resolved.runs
    by_arm = {run.arm: run for run in runs}
    assert len(by_arm) == len(TINY_BUDGETS) * len(ALGORITHMS)
    for arm in whole.arms:
        limits = by_arm[arm.name].train.budget.limits
        assert list(limits.items()) == [(kind, TINY_BUDGETS[kind]) for kind in limits]
        baseline = whole.baseline_of(arm)
        if baseline is not None:
            assert by_arm[baseline].train.budget == by_arm[arm.name].train.budget
            assert (*limits, by_arm[baseline].algorithm.function) not in CANNOT_SPEND


def test_sft_before_grpo_has_the_steps_that_each_budget_names():
    runs = request("ablation_budget", ["tiny"], 1).resolved.runs
    staged = [run for run in runs if run.algorithm.function == "sft_then_grpo"]
    starts = {}
    for run in staged:
        [kind] = run.train.budget.limits
        starts[kind] = stage_starts(build_algorithm(run.algorithm), run.train.steps)[1]
    assert starts == dict(TINY_SFT_STEPS)


def test_budgets_of_choice_make_a_study_of_their_own_for_another_scale():
    own = study({"flops": 2e21}, {"flops": 150}, name="my_budgets", idle=100, most=1000, most_of_sft=20000)
    runs = resolve(own, [find_scale("qwen2.5-math-1.5b")], (0,)).runs
    assert own.name == "my_budgets"
    assert {run.arm: run.train.steps for run in runs} == {
        "flops: sft": 20000,
        "flops: grpo": 1000,
        "flops: sft_then_grpo": 1150,
        "flops: luffy": 1000,
        "flops: srft": 1000,
        "flops: hpt": 1000,
    }


def test_every_algorithm_is_tuned_with_the_same_rates_in_units_of_the_scales():
    for scale, rate in (("tiny", 3e-4), ("qwen2.5-math-7b", 5e-6)):
        runs = request("learning_rates", [scale], None).resolved.runs
        tried = {}
        for run in runs:
            tried.setdefault(run.algorithm.function, set()).add(run.train.optimizer.learning_rate)
        assert len(tried) == 5
        assert len({frozenset(rates) for rates in tried.values()}) == 1
        assert min(tried["sft"]) == pytest.approx(rate / 10)
        assert rate in tried["sft"]


def test_a_setting_in_units_of_the_scales_is_written_as_one_would():
    tiny = find_scale("tiny")
    assert Times(0.1).of(tiny, "train.optimizer.learning_rate") == 3e-05
    plain = Study("toy", "A toy", (Arm("a", "sft", settings={"train.budget.flops": Times(2)}),))
    with pytest.raises(
        UsageError, match=r"train.budget.flops: Times\(factor=2\) of what is no number at scale"
    ):
        resolve(plain, [tiny], (0,))
    with pytest.raises(UsageError, match=r"unknown setting 'train\.optimizer\.rate'"):
        resolve(
            Study("toy", "A toy", (Arm("a", "sft", settings={"train.optimizer.rate": Times(2)}),)),
            [tiny],
            (0,),
        )


def test_noise_is_measured_on_arms_that_differ_in_their_seed_alone():
    runs = request("noise_floor", ["tiny"], None).resolved.runs
    plain = {dataclasses.replace(run, seed=0) == runs[index % 2] for index, run in enumerate(runs)}
    assert plain == {True}
    assert len({run.seed for run in runs}) == 8
