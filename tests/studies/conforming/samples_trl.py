"""Sample cases in TRL's options."""

import math

from tests.studies.conforming import textbook
from tests.studies.conforming import textbook_rare_trl as rare
from tests.studies.conforming.sampling import World, case, differentiated, extended_case, policy_case

GRPO = {
    "loss_type": "grpo",
    "importance_sampling_level": "token",
    "epsilon_low": 0.2,
    "epsilon_high": 0.28,
    "beta": 0.0,
    "scale_rewards": "group",
    "gradient_accumulation_steps": 1,
    "max_completion_length": 8,
    "use_bias_correction_kl": False,
    "sapo_temperature_pos": 1.0,
    "sapo_temperature_neg": 1.05,
}
TRL = {
    "grpo_kl": {"beta": 0.04},
    "grpo_kl_times_ratio": {"beta": 0.04, "use_bias_correction_kl": True},
    "grpo_delta": {"delta": 1.4, "scale_rewards": "batch"},
    "bnpo_accumulated": {"loss_type": "bnpo", "gradient_accumulation_steps": 2},
    "dapo_accumulated": {"loss_type": "dapo", "gradient_accumulation_steps": 3, "beta": 0.1},
    "dapo_of_two_generations": {
        "loss_type": "dapo", "gradient_accumulation_steps": 2, "steps_per_generation": 1,
    },
    "dr_grpo": {"loss_type": "dr_grpo", "scale_rewards": "none"},
    "gspo": {"importance_sampling_level": "sequence", "epsilon_low": 0.03, "epsilon_high": 0.04},
    "gspo_kl_times_ratio": {
        "importance_sampling_level": "sequence", "beta": 0.1, "use_bias_correction_kl": True,
    },
    "cispo": {"loss_type": "cispo", "epsilon_high": 1.1},
    "sapo": {"loss_type": "sapo", "sapo_temperature_neg": 2.0},
}  # fmt: skip
RLOO = {"epsilon_low": 0.2, "epsilon_high": 0.28, "beta": 0.05, "normalize_advantages": True}
SFT = {"nll": {"loss_type": "nll"}, "dft": {"loss_type": "dft", "num_items_in_batch": 40}}
MASKED = GRPO | {"epsilon_high": 0.28}
TRL_EXTENDED = {
    "off_policy_mask": {"off_policy_mask_threshold": 0.1},
    "off_policy_mask_of_sampler": {
        "off_policy_mask_threshold": 0.1,
        "vllm_importance_sampling_mode": "token_truncate", "vllm_importance_sampling_clip_max": 1.2,
    },
    "truncated_by_row": {
        "vllm_importance_sampling_mode": "sequence_truncate", "vllm_importance_sampling_clip_max": 1.2,
        "vllm_importance_sampling_clip_min": 0.9,
    },
    "masked_by_token": {
        "vllm_importance_sampling_mode": "token_mask", "vllm_importance_sampling_clip_max": 1.2,
        "vllm_importance_sampling_clip_min": 0.7,
    },
    "masked_by_row": {
        "vllm_importance_sampling_mode": "sequence_mask", "vllm_importance_sampling_clip_max": 1.2,
    },
    "high_entropy": {"top_entropy_quantile": 0.5, "entropy_coef": 0.05},
    "high_entropy_single": {"top_entropy_quantile": 0.5, "entropy_coef": 0.05},
}  # fmt: skip
VESPO = {"loss_type": "vespo", "vespo_k_pos": 1.5, "vespo_lambda_pos": 2.0, "vespo_k_neg": 2.5,
         "vespo_lambda_neg": 1.0, "scale_rewards": "group"}  # fmt: skip
GMPO = {"loss_type": "gmpo", "epsilon_low": 0.3, "epsilon_high": 0.4, "scale_rewards": "group"}


def trl_cases():
    for seed, (name, changes) in enumerate(TRL.items(), start=20):
        world, params = World(seed), GRPO | changes
        advantages = textbook.trl_advantages(params, world.rewards, world.group)
        tags = ("accumulation",) if params["gradient_accumulation_steps"] > 1 else ("core",)
        yield policy_case(f"trl_{name}", params, world, textbook.trl_loss, advantages, tags=tags)
    world = World(50)
    world.mask[-1, 0] = 1.0
    advantages = textbook.rloo_advantages(RLOO, world.rewards, world.group, world.old, world.ref, world.mask)
    yield policy_case("trl_rloo_kl_in_reward", RLOO, world, textbook.rloo_loss, advantages)
    for seed, (name, params) in enumerate(SFT.items(), start=60):
        world = World(seed)
        loss, gradient = differentiated(
            lambda logp, params=params, world=world: textbook.sft_loss(params, logp, world.mask), world.logp
        )
        inputs = {"logprobs": world.logp.tolist(), "mask": world.mask.int().tolist(), "old_logprobs": None}
        yield case(f"trl_sft_{name}", "sft", params, inputs, {"loss": loss, "grad_logprobs": gradient})


def trl_extended():
    for seed, (name, changes) in enumerate(TRL_EXTENDED.items(), start=304):
        world, params = World(seed), MASKED | changes
        advantages = textbook.trl_advantages(params, world.rewards, world.group)
        if name == "high_entropy":  # the median of 19 tokens is one of them; single precision can hold these
            world.entropy = (world.entropy * 64).round() / 64
        inputs = {"rewards": world.rewards, "entropies": world.entropy}
        if "vllm_importance_sampling_mode" in changes:
            inputs["sampling_logprobs"] = world.sampler
        yield extended_case(f"trl_{name}", params, world, rare.trl_masked, advantages, **inputs)
    for seed, (name, params, loss) in enumerate(
        (("vespo", VESPO, rare.vespo), ("gmpo", GMPO, rare.gmpo)), start=311
    ):
        world = World(seed)
        advantages = textbook.trl_advantages(params, world.rewards, world.group)
        yield extended_case(f"trl_{name}", params, world, loss, advantages, rewards=world.rewards)
    world = World(320)
    world.rewards[:2] = math.nan  # leaves one of the first group's three with a score
    advantages = rare.of_group(world.rewards, world.group)
    yield extended_case("trl_unscored", MASKED, world, rare.trl_masked, advantages, rewards=world.rewards)
    for seed, how in enumerate(("sum_then_normalize", "normalize_then_sum"), start=330):
        world = World(seed)
        world.by_function[1, 0] = world.by_function[2, 1] = math.nan
        world.by_function[4] = math.nan
        params = MASKED | {"reward_weights": [1.0, 0.5], "multi_objective_aggregation": how}
        advantages = rare.of_functions(params, world.by_function, world.group)
        yield extended_case(f"trl_{how}", params, world, rare.trl_masked, advantages,
                            rewards=None, rewards_per_func=world.by_function)  # fmt: skip
