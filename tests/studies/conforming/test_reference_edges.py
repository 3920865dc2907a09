"""The released code where its options or rewards leave what the parts are made for."""

import pytest

from studies.conforming import reference
from studies.conforming.options import Inexpressible
from tests.studies.conforming.comparing import assert_released, case_of, numbers_of
from tests.studies.conforming.released_script import INPUTS, script

FUNCTION = {
    "adv_estimator": "grpo",
    "use_std": False,
    "epsilon": 1e-6,
    "cliprange": 0.2,
    "clip_upper_bound": 1.0,
    "loss_remove_token_mean": True,
    "loss_remove_clip": False,
    "off_policy_reshape": "p_div_p_0.1",
    "off_policy_reshape_weight": 0.1,
    "off_policy_reshape_pow_exp": 0.5,
    "on_policy_reshape": "no_reshape",
    "on_policy_reshape_weight": 0.1,
    "on_policy_reshape_pow_exp": 0.5,
}
MIXED = [name for name in FUNCTION if "policy_reshape" in name or name == "clip_upper_bound"]
"""Options that the policy loss does not have."""
TEACHER = [[0.4, 0.9, 0.2], [0.5, 0.5, 0.5], [0.7, 0.3, 0.8]]
MOVED = {"use_ppo_kl_loss": True, "ppo_kl_loss_coef": 0.5}


def function(algorithm, inputs=INPUTS, **changes):
    """Return a case of a loss function."""
    return {**FUNCTION, "algorithm": algorithm, **changes}, inputs, [[0, 1, 2]]


def test_a_flag_on_a_rollout_says_nothing():
    assert_released(*function("on_off_mask", {**INPUTS, "whether_off": [1, 0, 1]}))


def test_equal_rewards_deviate_by_their_rounding_error():
    # Three rewards of 0.1 sum to a little more than 0.3, so that their standard deviation is not 0 but 2e-17:
    # the demonstration's advantage is divided by epsilon.
    inputs = {name: [values[0]] * 3 + [values[2]] for name, values in INPUTS.items()}
    inputs |= {"rewards": [0.1, 0.1, 0.1, 1.0], "group": [0] * 4, "is_demo": [0, 0, 0, 1]}
    params, _, cells = function("on_off", adv_estimator="grpo_split", use_std=True)
    assert_released(params, inputs, cells)
    found = numbers_of(case_of(params, inputs))["advantages"]
    assert found[3, 0].item() == pytest.approx(0.9e6, rel=1e-9)
    # Rewards of 1/8 leave none, and a standard deviation of 0 counts as 1.
    inputs["rewards"] = [0.125, 0.125, 0.125, 1.0]
    assert_released(params, inputs, cells)
    found = numbers_of(case_of(params, inputs))["advantages"]
    assert found[3, 0].item() == pytest.approx(0.875 / (1 + 1e-6), rel=1e-12)


@pytest.mark.parametrize("label", ["hpt", "luffy", "srft", "hpt_mix_on", "hpt_off_on", "grpo"])
@pytest.mark.parametrize("side", [1, -1])
def test_the_distance_from_the_old_policy_is_taken_without_its_sign(label, side):
    old = [
        [new + side * abs(before - new) for new, before in zip(*rows, strict=True)]
        for rows in zip(INPUTS["logprobs"], INPUTS["old_logprobs"], strict=True)
    ]
    options = {**MOVED, "gradient_accumulation_divisor": 2, "micro_batching": "dynamic"}
    assert_released(*script(label, {**INPUTS, "old_logprobs": old}, ((2, 0), (1,)), **options))


@pytest.mark.parametrize("flags", [{}, {"whether_off": [0, 0, 0]}])
def test_flags_tell_whose_distance_it_is(flags):
    params, inputs, cells = script("hpt", {**INPUTS, **flags}, **MOVED)
    params |= {"algorithm": "hpt_off_sft", "offline_loss_type": "off_sft"}
    assert_released(params, inputs, cells)


def test_the_actor_s_names_of_options_are_read_as_the_functions_arguments():
    params, inputs, cells = script("luffy", off_max_clip=0.6, off_min_clip=0.3)
    names = {"off_policy_max_clip": 0.6, "off_policy_min_clip": 0.3}
    names |= {"off_policy_cliprange": 0.2, "off_policy_normalize": False}
    theirs = numbers_of(case_of(params, inputs, cells))
    ours = numbers_of(case_of(script("luffy", **names)[0], inputs, cells))
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert_released(params, inputs, cells)
    with pytest.raises(Inexpressible, match="off_policy_max_clip beside off_max_clip"):
        reference.compose(case_of({**params, **names}, inputs, cells))


@pytest.mark.parametrize("label", ["luffy", "srft"])
@pytest.mark.parametrize("switch", [{}, {"use_off_policy_probs": True}, {"use_off_policy_probs": False}])
def test_a_teacher_s_probabilities_are_read_where_the_step_selects_them(label, switch):
    assert_released(*script(label, {**INPUTS, "target_probs": TEACHER}, **switch))


def test_a_teacher_that_is_asked_for_and_missing_is_named():
    params, inputs, cells = script("luffy", use_off_policy_probs=True)
    with pytest.raises(Inexpressible, match="input target_probs is missing"):
        reference.compose(case_of(params, inputs, cells))


@pytest.mark.parametrize(
    "changes",
    [
        {"off_policy_reshape": "logp", "off_min_clip": -0.04},
        {"off_policy_reshape": "logp", "off_max_clip": -0.04},
        {"off_policy_reshape": "p_logp", "off_min_clip": -0.9, "off_max_clip": 0.5},
        {"off_min_clip": 0.8, "off_max_clip": 0.5},
    ],
)
def test_bounds_may_be_negative_or_cross(changes):
    assert_released(*function("on_off", **changes))


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        ("policy_loss", dict.fromkeys(MIXED)),
        ("on_off", {}),
        ("on_off", {"on_policy_reshape": "p_div_p_0.5"}),
        ("srft_rl_only", {"srft_type": "paper"}),
        ("srft_rl_only", {"srft_type": "minus_old"}),
    ],
)
@pytest.mark.parametrize("rewards", [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
def test_a_clip_may_reach_below_zero(algorithm, changes, rewards):
    unlikely = [INPUTS["logprobs"][0], [-5.0, -0.2, -7.0], INPUTS["logprobs"][2]]
    inputs = {**INPUTS, "logprobs": unlikely, "rewards": rewards, "group": [0, 0, 0]}
    assert_released(*function(algorithm, inputs, cliprange=1.5, **changes))


def test_a_clip_of_a_registered_algorithm_may_reach_below_zero():
    unlikely = {**INPUTS, "logprobs": [INPUTS["logprobs"][0], [-5.0, -0.2, -7.0], INPUTS["logprobs"][2]]}
    params, inputs, cells = script("grpo", unlikely, clip_ratio=1.5)
    assert reference.compose(case_of(params, inputs, cells)).pieces[0].algorithm.name == "dapo"
    assert_released(params, inputs, cells)
    critic = {"values": [[0.5, -0.5, 0.2], [0.1, 0.3, 0.4], [-0.2, 0.6, 0.1]], "value_mask": [[1] * 3] * 3}
    critic |= {"vpreds": [[0.4, 0.1, 0.2], [0.9, 0.3, -0.4], [-0.1, 1.6, 0.1]]}
    critic["token_rewards"] = [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    params = {
        "algorithm": "ppo_gae",
        "adv_estimator": "gae",
        "gamma": 1.0,
        "lam": 0.9,
        "cliprange_value": 0.5,
    }
    params |= {"cliprange": 1.5, "loss_remove_token_mean": False, "loss_remove_clip": False}
    assert reference.compose(case_of(params, inputs | critic)).pieces[0].algorithm.name == "ppo"
    assert_released(params, inputs | critic, cells)


@pytest.mark.parametrize(
    ("algorithm", "changes", "says"),
    [
        ("on_off", {"on_policy_reshape": "logp"}, r"a clip of 1\.5 with on_policy_reshape=logp"),
        ("srft_rl_only", {"srft_type": "exp"}, r"a clip of 1\.5 with srft_type=exp"),
    ],
)
def test_a_clip_below_zero_that_more_than_a_ratio_meets_is_refused(algorithm, changes, says):
    params, inputs, cells = function(algorithm, cliprange=1.5, **changes)
    with pytest.raises(Inexpressible, match=says):
        reference.compose(case_of(params, inputs, cells))
