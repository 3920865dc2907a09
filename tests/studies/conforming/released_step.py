"""The released code's training step in plain numbers: what a case of any kind must come to.

Parameters and inputs are those of a golden case, as lists.
"""

import math

import numpy as np

from tests.studies.conforming import released
from tests.studies.conforming.released_losses import imitation, mixed_loss, policy_loss, row_entropy

BRANCHES = ("sft", "off_policy", "switch_off_sft", "off_sft", "srft")


def expected(params, inputs, cells):
    """Return what a golden case would hold: advantages, loss and gradients, and the critic's."""
    if params["algorithm"] == "sft":
        loss, grad = imitation(inputs, range(len(inputs["mask"])), np.ones(len(inputs["mask"])))
        return {"loss": loss, "grad_logprobs": grad}
    credit = released.advantages(params, inputs)
    if "offline_loss_type" in params:
        return {"advantages": credit, **training_step(params, inputs, credit, cells)}
    rows = range(len(credit))
    kind = {"srft_rl_only": "srft"}.get(params["algorithm"], params["algorithm"])
    if kind in ("policy_loss", "ppo_gae"):
        loss, grad = policy_loss(params, inputs, credit, rows)
    else:
        loss, grad = mixed_loss(params, inputs, credit, rows, kind)
    found = {"advantages": credit, "loss": loss, "grad_logprobs": grad}
    if kind == "ppo_gae":
        found |= dict(
            zip(("returns", "value_loss", "grad_vpreds"), released.critic(params, inputs), strict=True)
        )
    return found


def training_step(params, inputs, credit, cells):
    """Return the sum over micro-batches, each divided by the accumulation's divisor."""
    params = {**params, "cliprange": params["clip_ratio"]}
    if params["offline_loss_type"] != "off_policy" or not params.get("use_off_policy_probs", True):
        inputs = {name: values for name, values in inputs.items() if name != "target_probs"}
    losses, grad_logp, grad_entropy = [], 0.0, 0.0
    for rows in cells:
        loss, grad = branch(params, inputs, credit, rows)
        bonus, grad_bonus = entropy(params, inputs, rows)
        penalty, grad_penalty = kl(params, inputs, rows)
        distance, grad_distance = moved(params, inputs, rows)
        divisor = params["gradient_accumulation_divisor"]
        losses.append((loss + bonus + penalty + distance) / divisor)
        grad_logp = grad_logp + (grad + grad_penalty + grad_distance) / divisor
        grad_entropy = grad_entropy + grad_bonus / divisor
    return {
        "loss": sum(losses),
        "per_micro_loss": np.array(losses),
        "grad_logprobs": grad_logp,
        "grad_entropy": grad_entropy,
    }


def branch(params, inputs, credit, rows):
    """Return the policy loss of one micro-batch, imitation included."""
    kind, flags = params["offline_loss_type"], inputs.get("whether_off")
    demos = [i for i in rows if inputs["is_demo"][i]]
    if kind not in BRANCHES:
        return policy_loss(params, inputs, credit, rows)
    if kind == "off_policy":
        return mixed_loss(params, inputs, credit, rows)
    weights = np.full(len(credit), params["sft_loss_coef"])
    if kind == "sft" or (kind == "off_sft" and flags is None):
        parts = [policy_loss(params, inputs, credit, [i for i in rows if i not in demos])]
    elif kind == "switch_off_sft":
        parts = [mixed_loss(params, inputs, credit, rows, "on_off_weight")]
    elif kind == "off_sft":
        parts = [mixed_loss(params, inputs, credit, rows, "on_off_mask")]
        demos = [i for i in demos if not flags[i]]
    else:
        parts = [mixed_loss(params, inputs, credit, rows, "srft")]
        weights = [0.5 * math.exp(-row_entropy(inputs, i)) for i in range(len(credit))]
    parts.append(imitation(inputs, demos, weights))
    return sum(loss for loss, _ in parts), sum(grad for _, grad in parts)


def moved(params, inputs, rows):
    """Return the loss of the mean distance from the old policy, whatever its sign, and its gradient.

    It is a mean over the rows of the policy loss; without one there is nothing (the released loss: NaN).
    """
    kind = params["offline_loss_type"]
    if not params["use_ppo_kl_loss"]:
        return 0.0, 0.0
    if kind == "sft" or (kind == "off_sft" and "whether_off" not in inputs):
        rows = [i for i in rows if not inputs["is_demo"][i]]
    gap = lambda i, t: (inputs["old_logprobs"][i][t] - inputs["logprobs"][i][t], -1.0)  # noqa: E731
    value, grad = _mean(inputs, rows, gap)
    return params["ppo_kl_loss_coef"] * abs(value), params["ppo_kl_loss_coef"] * np.sign(value) * grad


def _mean(inputs, rows, token):
    """Return the mean of token(i, t) = (value, slope) over the tokens of some rows, and its gradient."""
    mask = np.array(inputs["mask"])
    places = [(i, t) for i in rows for t in range(mask.shape[1]) if mask[i, t]]
    value, grad = 0.0, np.zeros(mask.shape)
    for place in places:
        here, slope = token(*place)
        value += here / len(places)
        grad[place] = slope / len(places)
    return value, grad


def entropy(params, inputs, rows):
    """Return the loss of the entropy bonus and its gradient by the entropies."""
    value, grad = _mean(inputs, rows, lambda i, t: (inputs["entropy"][i][t], 1.0))
    return -params["entropy_coeff"] * value, -params["entropy_coeff"] * grad


def kl(params, inputs, rows):
    """Return the loss of the KL term and its gradient by the log-probs."""
    if not params["use_kl_loss"]:
        return 0.0, 0.0

    def token(i, t):
        gap = inputs["logprobs"][i][t] - inputs["ref_logprobs"][i][t]
        if params["kl_loss_type"] == "low_var_kl":
            value = math.exp(-gap) + gap - 1
            return (value, 1 - math.exp(-gap)) if value <= 10 else (10.0, 0.0)
        return {"kl": (gap, 1.0), "abs": (abs(gap), np.sign(gap)), "mse": (gap**2 / 2, gap)}[
            params["kl_loss_type"]
        ]

    value, grad = _mean(inputs, rows, token)
    return params["kl_loss_coef"] * value, params["kl_loss_coef"] * grad
