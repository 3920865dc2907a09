"""The released code's advantages and critic in plain numbers, row by row and token by token.

Nothing is shared with the parts: no masks over tensors, and torch for nothing but a group's mean and standard
deviation. Parameters and inputs are those of a golden case, as lists.
"""

import math

import numpy as np
import torch


def advantages(params, inputs):
    """Return the advantage at every token of the response mask, 0 elsewhere."""
    name, mask = params["adv_estimator"], np.array(inputs["mask"])
    if name in ("gae", "reinforce_plus_plus"):
        raw = _gae(params, inputs) if name == "gae" else _to_go(params, inputs)
        inside = raw[mask == 1]
        mean = inside.sum() / len(inside)
        variance = ((inside - mean) ** 2).sum() / (len(inside) - 1)
        return np.where(mask == 1, (raw - mean) / math.sqrt(variance + 1e-8), 0.0)
    by_row = {"reinforce": lambda r: r, "grpo_balance": lambda r: 1.0 if r > 0 else -1.0}
    if name in by_row:
        credit = [by_row[name](reward) for reward in inputs["rewards"]]
    else:
        credit = _group_relative(params, inputs)
    return mask * np.array(credit)[:, None]


def _group_relative(params, inputs):
    credit = []
    for reward, group in zip(inputs["rewards"], inputs["group"], strict=True):
        members = [
            other
            for other, demo, its in zip(inputs["rewards"], inputs["is_demo"], inputs["group"], strict=True)
            if its == group and not (params["adv_estimator"] == "grpo_split" and demo)
        ]
        # Of equal rewards the std is a rounding error, by which a demonstration's advantage is divided.
        own = torch.tensor(members, dtype=torch.float64)
        mean, std = (0.0, 1.0) if len(members) == 1 else (own.mean().item(), own.std().item())
        if params["adv_estimator"] == "grpo_split" and std == 0:
            std = 1.0
        credit.append((reward - mean) / (std + params["epsilon"]) if params["use_std"] else reward - mean)
    return credit


def _to_go(params, inputs):
    found = np.zeros(np.shape(inputs["mask"]))
    for i, row in enumerate(inputs["mask"]):
        last = max(t for t, inside in enumerate(row) if inside)
        for t in range(last + 1):
            found[i, t] = params["gamma"] ** (last - t) * inputs["rewards"][i]
    return found


def _gae(params, inputs):
    rewards, values = np.array(inputs["token_rewards"]), np.array(inputs["values"])
    found = np.zeros_like(values)
    for i in range(len(values)):
        later = 0.0
        for t in reversed(range(values.shape[1])):
            following = values[i, t + 1] if t + 1 < values.shape[1] else 0.0
            later = (
                rewards[i, t]
                + params["gamma"] * following
                - values[i, t]
                + params["gamma"] * params["lam"] * later
            )
            found[i, t] = later
    return found


def critic(params, inputs):
    """Return the returns, the critic's loss and its gradient."""
    returns = _gae(params, inputs) + np.array(inputs["values"])
    clip, loss, mask = params["cliprange_value"], 0.0, np.array(inputs["value_mask"])
    grad = np.zeros_like(returns)
    for i, t in np.argwhere(mask == 1):
        new, old, target = inputs["vpreds"][i][t], inputs["values"][i][t], returns[i, t]
        near = min(max(new, old - clip), old + clip)
        plain, bounded = (new - target) ** 2, (near - target) ** 2
        loss += 0.5 * max(plain, bounded) / mask.sum()
        grad[i, t] = (new - target) / mask.sum() if plain >= bounded else 0.0
    return returns, loss, grad
