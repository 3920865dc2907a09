"""Sample cases in verl's options."""

from tests.studies.conforming import textbook
from tests.studies.conforming import textbook_rare_verl as rare
from tests.studies.conforming.sampling import TOKENS, World, case, differentiated, extended_case, policy_case

PPO = {
    "loss_mode": "vanilla",
    "loss_agg_mode": "token-mean",
    "clip_ratio_low": 0.2,
    "clip_ratio_high": 0.28,
    "clip_ratio_c": 1.5,
}
VERL = {
    "vanilla": {"use_kl_loss": True, "kl_loss_coef": 0.04, "kl_loss_type": "k3"},
    "vanilla_token_sum": {"loss_agg_mode": "token-sum", "use_kl_loss": True, "kl_loss_coef": 0.1,
                          "kl_loss_type": "k3+"},
    "vanilla_seq_mean": {"loss_agg_mode": "seq-mean-token-mean"},
    "cispo": {"loss_mode": "cispo", "loss_agg_mode": "seq-mean-token-sum"},
    "gspo": {"loss_mode": "gspo", "loss_agg_mode": "seq-mean-token-mean", "clip_ratio_high": 0.05},
    "sapo": {"loss_mode": "sapo", "tau_pos": 1.0, "tau_neg": 2.0, "use_kl_loss": True, "kl_loss_coef": 0.1,
             "kl_loss_type": "k2"},
    "gpg": {"loss_mode": "gpg", "loss_agg_mode": "seq-mean-token-sum-norm", "loss_scale_factor": 9,
            "use_kl_loss": True, "kl_loss_coef": 0.1, "kl_loss_type": "abs"},
    "dro": {"loss_mode": "dro", "dro_beta": 0.5},
    "gae": {"adv_estimator": "gae", "gamma": 0.9, "lam": 0.8},
    "grpo": {"adv_estimator": "grpo", "norm_adv_by_std_in_grpo": True},
    "grpo_no_std": {"adv_estimator": "grpo", "norm_adv_by_std_in_grpo": False},
    "rloo": {"adv_estimator": "rloo"},
    "opo": {"adv_estimator": "opo"},
    "kl_mse_straight": {"use_kl_loss": True, "kl_loss_coef": 0.3, "kl_loss_type": "mse+"},
    "kl_abs_straight": {"use_kl_loss": True, "kl_loss_coef": 0.3, "kl_loss_type": "abs+"},
    "low_beyond_zero": {"clip_ratio_low": 1.5},
    "gspo_low_beyond_zero": {"loss_mode": "gspo", "clip_ratio_low": 1.5, "clip_ratio_high": 0.05},
    "cut_by_no_whole_length": {"loss_agg_mode": "seq-mean-token-sum-norm", "loss_scale_factor": 12.5},
    "grpo_low_var_kl_in_reward": {"adv_estimator": "grpo", "norm_adv_by_std_in_grpo": True,
                                  "kl_reward_coef": 0.05, "kl_penalty": "low_var_kl"},
    "rloo_abs_in_reward": {"adv_estimator": "rloo", "kl_reward_coef": 0.3, "kl_penalty": "abs"},
    "opo_mse_in_reward": {"adv_estimator": "opo", "kl_reward_coef": 0.3, "kl_penalty": "mse"},
    "rloo_k3_straight_in_reward": {"adv_estimator": "rloo", "kl_reward_coef": 0.3, "kl_penalty": "k3+"},
}  # fmt: skip
BEYOND = ("vanilla", "grpo_low_var_kl_in_reward")
"""Samples with a token whose k3 is beyond verl's bound."""
VALUE = {"cliprange_value": 0.2, "loss_agg_mode": "token-mean"}
RARE = PPO | {"clip_ratio_low": 0.2, "clip_ratio_high": 0.3, "clip_ratio_c": 3.0}
CORRECTIONS = {
    "tokens_normalized": {
        "rollout_is": "token", "rollout_is_threshold": 1.5, "rollout_is_batch_normalize": True,
        "rollout_rs": "token_k1", "rollout_rs_threshold": "0.5_1.6",
    },
    "rows_normalized": {
        "rollout_is": "sequence", "rollout_is_threshold": 4.0, "rollout_is_batch_normalize": True,
    },
    "none_within": {
        "rollout_is": "token", "rollout_is_threshold": "50_60", "rollout_is_batch_normalize": True,
    },
    "without_threshold": {"rollout_is": "token", "rollout_is_threshold": None},
    "by_default": {"bypass_mode": True},
}  # fmt: skip
VERL_EXTENDED = {
    "geo_mean": (RARE | {"loss_mode": "geo_mean"}, rare.geo_mean, True),
    "dppo_tv": (RARE | {"loss_mode": "dppo_tv", "clip_ratio_low": 0.02}, rare.dppo_tv, True),
    "kl_cov": (RARE | {"loss_mode": "kl_cov", "kl_cov_ratio": 0.3, "ppo_kl_coef": 0.7}, rare.kl_cov, True),
    "clip_cov": (
        RARE | {"loss_mode": "clip_cov", "clip_cov_ratio": 1.0, "clip_cov_lb": 0.1, "clip_cov_ub": 1.5},
        rare.clip_cov, False,
    ),
    "bypass": (
        RARE | {
            "loss_mode": "bypass_mode",
            "rollout_correction": {
                "loss_type": "reinforce", "rollout_is": "sequence", "rollout_is_threshold": 1.5,
                "rollout_rs": "token_k1", "rollout_rs_threshold": "0.5_1.6",
            },
        },
        rare.bypass, False,
    ),
}  # fmt: skip
VERL_EXTENDED |= {
    f"bypass_{name}": (
        RARE | {"loss_mode": "bypass_mode", "rollout_correction": {"loss_type": "reinforce"} | correction},
        rare.bypass,
        False,
    )
    for name, correction in CORRECTIONS.items()
}
ESTIMATORS = {
    "grpo": lambda world: (rare.of_token_rewards(world),) * 2,
    "grpo_passk": lambda world: (rare.pass_at_k(world),) * 2,
    "reinforce_plus_plus": lambda world: (
        textbook.whitened(rare.token_returns(world, 0.9), world.mask), rare.token_returns(world, 0.9),
    ),
    "remax": lambda world: (
        (rare.token_returns(world, 1.0) - world.values[:, :1]) * world.mask, rare.token_returns(world, 1.0),
    ),
    "optimal_token_baseline": lambda world: rare.token_baseline(world, packed=False),
    "tir_optimal_token_baseline": lambda world: rare.token_baseline(world, packed=True),
}  # fmt: skip


def verl_cases():
    for seed, (name, changes) in enumerate(VERL.items(), start=100):
        world, params = World(seed), PPO | changes
        if name in BEYOND:
            world.logp[0, 0], world.old[0, 0], world.ref[0, 0] = -6.0, -6.1, -0.5
        if "adv_estimator" in params:
            advantages, returns = textbook.verl_advantages(
                params, rare.lowered_rewards(params, world), world.uneven, world.mask, world.values
            )
            found = policy_case(
                f"verl_{name}", params, world, textbook.verl_loss, advantages, returns, world.uneven
            )
            if params["adv_estimator"] == "gae":
                found["inputs"]["values"] = world.values.tolist()
        else:
            found = policy_case(f"verl_{name}", params, world, textbook.verl_loss, world.returns * world.mask)
            found["inputs"]["rewards"] = found["expected"]["advantages"] = None
        yield found
    world = World(200)
    loss, gradient = differentiated(
        lambda predicted: rare.value_loss(VALUE, predicted, world.values, world.returns, world.mask),
        world.predicted,
    )
    inputs = {"vpreds": world.predicted, "values": world.values, "returns": world.returns,
              "mask": world.mask.int()}  # fmt: skip
    inputs = {name: tensor.tolist() for name, tensor in inputs.items()}
    yield case("verl_value_loss", "value_loss", VALUE, inputs, {"loss": loss, "grad_vpreds": gradient},
               ("extended", "value"))  # fmt: skip


def verl_extended():
    for seed, (name, (params, loss, weighed)) in enumerate(VERL_EXTENDED.items(), start=400):
        world, by_row = World(seed), name.startswith(("geo_mean", "bypass"))
        advantages = world.values[:, :1].expand(-1, TOKENS) if by_row else world.values
        advantages = advantages * world.mask
        inputs = {"rollout_is_weights": world.weights} if weighed else {}
        yield extended_case(f"verl_{name}", params, world, loss, advantages, **inputs)
    for seed, (name, estimator) in enumerate(ESTIMATORS.items(), start=410):
        world, params = World(seed), PPO | {"adv_estimator": name, "gamma": 0.9}
        world.mask[4, 4] = 0.0  # one row of the second group is the longest
        advantages, returns = estimator(world)
        inputs = {"reward_baselines": world.values[:, 0]} if name == "remax" else {}
        if name == "grpo":
            inputs["token_rewards"] = world.values
            params["norm_adv_by_std_in_grpo"] = True
        if name.endswith("token_baseline"):
            inputs["sum_pi_squared"] = world.squared
        kind = f"{name}_by_token" if name == "grpo" else name
        found = extended_case(f"verl_{kind}", params, world, _ppo, advantages, **inputs)
        found["expected"]["returns"] = returns.tolist()
        yield found


def _ppo(params, world, logp, advantages):
    return textbook.verl_loss(params, logp, world.old, world.ref, world.mask, advantages)
