"""The options of the released scripts, and a few rows that their training step could be given."""

SCRIPT = {
    "adv_estimator": "grpo",
    "use_std": False,
    "epsilon": 1e-6,
    "sft_loss_coef": 0.3,
    "off_loss_coef": 0.7,
    "entropy_coeff": 0.001,
    "clip_ratio": 0.2,
    "clip_upper_bound": 1.0,
    "loss_remove_token_mean": True,
    "loss_remove_clip": True,
    "off_policy_reshape": "p_div_p_0.1",
    "off_policy_reshape_weight": 0.1,
    "off_policy_reshape_pow_exp": 0.5,
    "on_policy_reshape": "no_reshape",
    "on_policy_reshape_weight": 0.1,
    "on_policy_reshape_pow_exp": 0.5,
    "srft_type": "paper",
    "use_kl_loss": False,
    "use_ppo_kl_loss": False,
    "micro_batching": "none",
    "gradient_accumulation_divisor": 1,
}
GRPO = {"use_std": True, "loss_remove_token_mean": False, "loss_remove_clip": False}
BRANCH = {
    "hpt": ("sft", "hpt", {}),
    "luffy": ("off_policy", "luffy", {}),
    "srft": ("srft", "srft", {}),
    "hpt_off_on": ("off_policy", "hpt_off_on", {}),
    "hpt_mix_on": ("switch_off_sft", "hpt_mix_on", {}),
    "grpo": ("none", "dapo", GRPO),
}
INPUTS = {
    "logprobs": [[-0.5, -1.0, -0.1], [-2.0, -0.2, -7.0], [-0.3, -0.9, -1.1]],
    "old_logprobs": [[-0.7, -0.6, -0.2], [-1.0, -0.3, -6.0], [-0.3, -0.5, -1.3]],
    "mask": [[1, 1, 1], [1, 1, 0], [1, 1, 0]],
    "rewards": [1.0, 0.0, 1.0],
    "group": [0, 0, 1],
    "is_demo": [0, 0, 1],
    "entropy": [[0.5, 1.0, 0.2], [0.3, 0.4, 9.0], [1.5, 0.1, 9.0]],
}
ROLLOUTS = {"is_demo": [0, 0, 0]}


def script(label, inputs=INPUTS, cells=((0, 1, 2),), **changes):
    """Return a case of the training step with a script's options."""
    branch, _, own = BRANCH[label]
    params = {**SCRIPT, **own, "algorithm": label, "offline_loss_type": branch, **changes}
    rows = {**inputs, **ROLLOUTS} if label == "grpo" else inputs
    return params, rows, [list(each) for each in cells]
