"""Sample cases of TRL's defaults, of options that exclude each other, and of values at their limits."""

import math

import torch

from tests.studies.conforming import textbook
from tests.studies.conforming import textbook_rare_trl as rare
from tests.studies.conforming.samples_trl import GMPO, GRPO, RLOO, VESPO
from tests.studies.conforming.sampling import World, extended_case, policy_case

ABSENT = object()
"""An option that the case leaves out, and its loss is told."""
MODE, CAP, FLOOR, SWITCH = (
    f"vllm_importance_sampling_{name}" for name in ("mode", "clip_max", "clip_min", "correction")
)
BY_ROW, OPSM = "sequence_mask", "off_policy_mask_threshold"

# What the case says beyond GRPO's options, and what its loss is told instead.
CLIPS = {
    "high_clip_null": ({"epsilon_low": 0.1, "epsilon_high": None}, {"epsilon_high": 0.1}),
    "high_clip_absent": ({"epsilon_low": 0.1, "epsilon_high": ABSENT}, {"epsilon_high": 0.1}),
    "low_clip_below_0": ({"epsilon_low": 1.5, "delta": 2.0}, {}),
    "cispo_high_clip_null": (
        {"loss_type": "cispo", "epsilon_low": 0.9, "epsilon_high": None}, {"epsilon_high": 0.9},
    ),
    "cispo_without_weight": ({"loss_type": "cispo", "epsilon_high": 0.0, "beta": 0.1}, {}),
    "kl_by_default": ({"beta": 0.1, "use_bias_correction_kl": ABSENT}, {"use_bias_correction_kl": True}),
    "dr_grpo_length": (
        {"loss_type": "dr_grpo", "max_completion_length": ABSENT}, {"max_completion_length": 512},
    ),
}  # fmt: skip
SAMPLED = {
    "sampler_by_default": ({}, {MODE: BY_ROW, CAP: 3.0}),
    "sampler_unbounded": ({MODE: BY_ROW, CAP: None}, {CAP: math.inf}),
    "sampler_far_off": ({MODE: "sequence_truncate", CAP: None}, {CAP: math.inf}),
    "sampler_corrected": ({MODE: "token_mask", CAP: 1.2, SWITCH: True}, {}),
    "sampler_not_corrected": ({MODE: "token_mask", CAP: 1.2, SWITCH: False, OPSM: 0.1}, {}),
    # One row has moved by -0.11 nats a token, and by -0.15 without the token that the sampler didn't report.
    "sampler_unknown": ({MODE: "token_truncate", CAP: 1.2, OPSM: -0.13}, {}),
    "sampler_unknown_by_row": ({MODE: BY_ROW, CAP: 1.2, OPSM: 0.1}, {}),
    "entropy_controller": (
        {"use_adaptive_entropy": True, "entropy_coef": 0.05, "entropy_target": 0.5}, {"entropy_coef": 0.0},
    ),
}  # fmt: skip
STEEP, FLAT = ("vespo_k_pos", "vespo_k_neg"), ("vespo_lambda_pos", "vespo_lambda_neg")
OTHERS = {
    "vespo_padding_below": (rare.vespo, VESPO | {MODE: "token_truncate", CAP: 0.9}, {}),
    "vespo_padding_above": (rare.vespo, VESPO | {MODE: "token_truncate", CAP: 2.0, FLOOR: 1.1}, {}),
    "vespo_overflow": (rare.vespo, VESPO | dict.fromkeys(STEEP, 100.0) | dict.fromkeys(FLAT, 0.01), {}),
    "gmpo_by_default": (
        rare.gmpo, GMPO | {"epsilon_low": ABSENT, "epsilon_high": ABSENT},
        {"epsilon_low": 0.4, "epsilon_high": 0.4},
    ),
    "gmpo_high_clip_null": (rare.gmpo, GMPO | {"epsilon_high": None}, {"epsilon_high": 0.3}),
    "gmpo_high_entropy": (rare.gmpo, GMPO | {"top_entropy_quantile": 0.25, "beta": 0.1}, {}),
    "gmpo_without_masks": (
        rare.gmpo, GMPO | {"entropy_coef": 0.05, OPSM: 0.01, MODE: "token_mask", CAP: 1.1, FLOOR: 0.9}, {},
    ),
}  # fmt: skip
SUM, NORMALIZE = "sum_then_normalize", "normalize_then_sum"
REWARDS = {
    "one_function_normalized": (NORMALIZE, [0.5]),
    "one_function_summed": (SUM, [2.5]),
    "equal_rewards": (NORMALIZE, [1.0, 0.5]),
}
RLOOS = {
    "rloo_high_clip_null": ({"epsilon_low": 0.7, "epsilon_high": None}, {"epsilon_high": 0.7}),
    "rloo_low_clip_below_0": ({"epsilon_low": 1.5}, {}),
    "rloo_one_function": ({"reward_weights": [2.5], "normalize_advantages": False}, {}),
    "rloo_by_default": ({"beta": ABSENT}, {"beta": 0.05}),
}


def stated(params):
    return {name: value for name, value in params.items() if value is not ABSENT}


def told(loss, options):
    """Return the loss under options of its own instead of the case's."""
    return lambda _, *arguments: loss(options, *arguments)


def plain(options, world, logp, advantages):
    return textbook.trl_loss(options, logp, world.old, world.ref, world.mask, advantages)


def edge_world(seed, name):
    """Return rows whose sampler is far from the behavior policy in two of them, and what else a name asks."""
    world = World(seed)
    if "low_clip" in name:
        world.logp = world.logp - 3.0  # ratios below 0.1
    if name == "vespo_overflow":
        world.old[0] = world.logp[0] - 2.0  # w = e^8 over four tokens, and w^100 is no float64
    world.sampler[0], world.sampler[2] = world.old[0] - 0.5, world.old[2] - 0.25
    if name == "sampler_far_off":
        world.sampler[2] = world.old[2] - 18.0  # 90 in all
    if "unknown" in name:
        world.sampler[[0, 1, 3], [0, 2, 0]] = math.nan
    return world


def trl_edges():
    yield from loss_edges()
    yield from reward_edges()
    yield from rloo_edges()


def loss_edges():
    found = {name: (plain, GRPO | changes, other) for name, (changes, other) in CLIPS.items()}
    found |= {name: (rare.trl_masked, GRPO | changes, other) for name, (changes, other) in SAMPLED.items()}
    for seed, (name, (loss, params, other)) in enumerate((found | OTHERS).items(), start=400):
        world = edge_world(seed, name)
        options = stated(params) | other
        with_sampler = name.startswith("sampler") or MODE in options
        advantages = textbook.trl_advantages(options, world.rewards, world.group)
        inputs = {"rewards": world.rewards, "entropies": world.entropy}
        inputs |= {"sampling_logprobs": world.sampler} if with_sampler else {}
        yield extended_case(f"trl_{name}", stated(params), world, told(loss, options), advantages, **inputs)


def reward_edges():
    for seed, (name, (how, weights)) in enumerate(REWARDS.items(), start=440):
        world = World(seed)
        params = GRPO | {"multi_objective_aggregation": how, "reward_weights": weights}
        rewards, inputs = world.rewards[:, None], {"rewards": world.rewards}
        if len(weights) > 1:  # equal in each group; three of them don't sum up to three times one
            rewards = torch.where(world.group[:, None] == 3, torch.tensor([100.1, 5.3]), 700.7)
            inputs = {"rewards": None, "rewards_per_func": rewards}
        advantages = rare.of_functions(params, rewards, world.group)
        yield extended_case(f"trl_{name}", params, world, rare.trl_masked, advantages, **inputs)
    world = World(450)
    advantages = textbook.trl_advantages(GRPO, world.rewards, world.group)
    params = GRPO | {"multi_objective_aggregation": NORMALIZE, "reward_weights": [1.0, 0.5]}
    yield extended_case("trl_rewards_not_given", params, world, rare.trl_masked, advantages)


def rloo_edges():
    for seed, (name, (changes, other)) in enumerate(RLOOS.items(), start=460):
        world, params = edge_world(seed, name), stated(RLOO | changes)
        options = params | other
        rewards = world.rewards * params.get("reward_weights", [1.0])[0]
        advantages = textbook.rloo_advantages(options, rewards, world.group, world.old, world.ref, world.mask)
        loss = told(textbook.rloo_loss, options)
        yield policy_case(f"trl_{name}", params, world, loss, advantages, tags=("extended",))
