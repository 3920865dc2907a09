"""An option is read, ignored by name, or reported; and what is read has its effect."""

import dataclasses
from collections import defaultdict

import pytest

from studies.conforming.cases import read_cases
from studies.conforming.options import Inexpressible, Options
from studies.conforming.runner import Verdict, run_case
from tests.studies.conforming.make_samples import DATA

CASES = {case.name: case for path in sorted(DATA.glob("*.json")) for case in read_cases(path)}
KINDS = {
    "trl": ("loss_type", "importance_sampling_level", "scale_rewards"),
    "verl": ("loss_mode", "loss_agg_mode", "adv_estimator", "kl_loss_type"),
}
NAMED = ("loss_type", "loss_mode", "adv_estimator", "multi_objective_aggregation")
CLIPS = {"clip_ratio_low", "clip_ratio_high", "clip_ratio_c"}
SAMPLER_BOUNDS = {"vllm_importance_sampling_clip_min", "vllm_importance_sampling_clip_max"}
IDLE = {
    # By loss: a clip where it has none, or no dual one; by estimator: a discount.
    "cispo": {"epsilon_low", "clip_ratio_c"},
    "sapo": {"epsilon_low", "epsilon_high", *CLIPS},
    "vespo": {"epsilon_low", "epsilon_high"},
    "gmpo": {"entropy_coef", "off_policy_mask_threshold", *SAMPLER_BOUNDS},
    "gspo": {"clip_ratio_c"},
    "geo_mean": {"clip_ratio_c"},
    "clip_cov": {"clip_ratio_c"},
    "gpg": CLIPS,
    "dro": CLIPS,
    "kl_cov": CLIPS,
    "bypass_mode": CLIPS,
    "grpo_passk": {"gamma", *CLIPS},  # only two rows have credit, and no token that is clipped
    "grpo": {"gamma", "entropy_target"},
    "remax": {"gamma"},
    "optimal_token_baseline": {"gamma"},
    "tir_optimal_token_baseline": {"gamma"},
    "normalize_then_sum": {"scale_rewards"},
}


def with_option(case, **changes):
    return dataclasses.replace(case, params={**case.params, **changes})


def idle_in(case):
    """Return the options that the case's loss and estimator do not read."""
    params = case.params
    idle = set().union(*(IDLE.get(params.get(name), ()) for name in NAMED))
    if params.get("loss_type") != "sapo":
        idle |= {"sapo_temperature_pos", "sapo_temperature_neg"}
    if params.get("loss_type") != "dr_grpo":
        idle |= {"max_completion_length"}
    if params.get("loss_type") != "bnpo":
        idle |= {"gradient_accumulation_steps"}  # means of micro-batches of one size, or one sum
    return idle


def options_of_a_kind():
    for name, case in CASES.items():
        for option in sorted(set(KINDS[case.peer]) & set(case.params) - idle_in(case)):
            yield pytest.param(case, option, id=f"{name}-{option}")


def numeric_options():
    """Yield each number that a kind of loss and estimator reads, with the cases of that kind."""
    found = defaultdict(list)
    for case in CASES.values():
        kind = "-".join(str(case.params[name]) for name in NAMED if name in case.params)
        for option, value in case.params.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and option not in idle_in(case):
                found[case.peer, kind, option].append(case)
    return [pytest.param(cases, key[-1], id="-".join(key)) for key, cases in found.items()]


@pytest.mark.parametrize(("case", "option"), options_of_a_kind())
def test_an_unknown_value_is_reported_not_passed_over(case, option):
    result = run_case(with_option(case, **{option: "novel"}))
    assert result.verdict is Verdict.INEXPRESSIBLE
    assert f"{option}=novel" in result.reason


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_unknown_option_is_reported_not_passed_over(case):
    result = run_case(with_option(case, novel=1.5))
    assert (result.verdict, result.reason) == (Verdict.INEXPRESSIBLE, "cannot express option novel=1.5")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_unknown_input_is_reported_not_passed_over(case):
    result = run_case(dataclasses.replace(case, inputs={**case.inputs, "novel": case.inputs["mask"]}))
    assert (result.verdict, result.reason) == (Verdict.INEXPRESSIBLE, "cannot express input novel")


@pytest.mark.parametrize(("cases", "option"), numeric_options())
def test_every_number_that_is_read_moves_a_result(cases, option):
    # A number that moved may lie on the same side of every ratio as before: several cases, down and up.
    for case in cases:
        value = case.params[option]
        tries = [1.0] if value == 0 else [3 * value] if isinstance(value, int) else [value / 4, 3 * value]
        for moved in tries:
            if run_case(with_option(case, **{option: moved})).verdict is not Verdict.PASS:
                return
    pytest.fail(f"{option} changes nothing in {[case.name for case in cases]}")


def test_flags_move_the_result():
    for name, flag in (
        ("trl_grpo_kl", "use_bias_correction_kl"),
        ("trl_rloo_kl_in_reward", "normalize_advantages"),
        ("verl_grpo", "norm_adv_by_std_in_grpo"),
        ("verl_vanilla", "use_kl_loss"),
    ):
        case = CASES[name]
        changed = with_option(case, **{flag: not case.params[flag]})
        assert run_case(changed).verdict is Verdict.MISMATCH, flag


def test_options_are_read_with_defaults_and_tables():
    options = Options({"given": 2, "null": None, "kind": "a", "on": True})
    assert options.take("given") == 2
    assert options.take("null", 3) == 3
    assert options.take("absent", 4) == 4
    assert options.number("given") == 2
    assert options.choose("kind", {"a": 1}) == 1
    assert options.choose("on", {True: "yes", False: "no"}) == "yes"
    options.close()
    with pytest.raises(Inexpressible, match="option absent is missing"):
        options.take("absent")
    for wrong in (0, 1.5, True):
        with pytest.raises(Inexpressible, match="must be a whole number from 1"):
            Options({"steps": wrong}).count("steps")
    with pytest.raises(Inexpressible, match="kind=a; known: b, c"):
        options.choose("kind", {"b": 1, "c": 2})
    with pytest.raises(Inexpressible, match="kind=a: it must be a number"):
        options.number("kind")
    with pytest.raises(Inexpressible, match="on=True: it must be a number"):
        options.number("on")


def test_an_option_that_nothing_asked_for_is_refused_unless_null():
    with pytest.raises(Inexpressible, match="cannot express option left=0"):
        Options({"left": 0}).close()
    Options({"left": None}).close()
    options = Options({"left": 0})
    options.ignore("left")
    options.close()
