"""The released code's losses in plain numbers, token by token, their gradients in closed form.

Nothing is shared with the parts. Every gradient is dloss/dlogp_t = −Â · dF/dlogp / N for a token's surrogate
F; parameters and inputs are those of a golden case, as lists.
"""

import math

import numpy as np


def shaped(kind, weight, exponent, ratio, gamma_of=None):
    """Return F and dF/dlogp of a reshape, but p/(p + γ)."""
    if kind == "no_reshape":
        return ratio, ratio
    if kind == "logp":
        return weight * math.log(ratio), weight
    if kind == "p_logp":
        return ratio + weight * math.log(ratio), ratio + weight
    exponent = 0.5 if kind == "square_root" else exponent
    return ratio**exponent, exponent * ratio**exponent


def rollout_surrogate(params, logp, old):
    """Return F and dF/dlogp of a rollout's token before its clip."""
    kind = params["on_policy_reshape"]
    if kind.startswith("p_div_p_"):
        gamma, p, q = float(kind[8:]), math.exp(logp), math.exp(old)
        ratio = (p / (p + gamma)) / (q / (q + gamma))
        return ratio, ratio * gamma / (p + gamma)
    weight = 1.0 if kind == "logp" else params["on_policy_reshape_weight"]
    return shaped(kind, weight, params["on_policy_reshape_pow_exp"], math.exp(logp - old))


def demonstration_surrogate(params, logp, target):
    """Return F and dF/dlogp of a demonstration's token, bounded."""
    kind, p = params["off_policy_reshape"], math.exp(logp)
    if target is not None:
        value, slope = p / (target + 1e-6), p / (target + 1e-6)
    elif kind.startswith("p_div_p_"):
        gamma = float(kind[8:])
        value, slope = p / (p + gamma), gamma * p / (p + gamma) ** 2
    else:
        weight, exponent = params["off_policy_reshape_weight"], params["off_policy_reshape_pow_exp"]
        value, slope = shaped(kind, weight, exponent, p)
    high, low = params.get("off_max_clip"), params.get("off_min_clip")
    if high is not None and value > high:
        value, slope = high, 0.0
    if low is not None and value < low:
        value, slope = low, 0.0
    return value, slope


def least(credit, value, slope, bound, bound_slope=0.0):
    """Return the surrogate of the smaller objective, credit · value or credit · bound."""
    return (value, slope) if credit * value <= credit * bound else (bound, bound_slope)


def clipped(params, credit, value, slope):
    """Return F and dF/dlogp of the min-clip."""
    if params["loss_remove_clip"]:
        return value, slope
    low, high = 1.0 - params["cliprange"], max(params.get("clip_upper_bound", 1.0), 1.0 + params["cliprange"])
    bound = min(max(value, low), high)
    return least(credit, value, slope, bound, slope if low <= value <= high else 0.0)


def srft_surrogate(params, credit, logp, old):
    """Return F and dF/dlogp of a rollout's token in SRFT."""
    kind = params["srft_type"]
    if kind == "exp":
        value = slope = math.exp(logp)
    elif kind == "classic_rl":
        value, slope = rollout_surrogate(params, logp, old)
    else:
        value, slope = (logp - old if kind == "minus_old" else logp), 1.0
    if params["loss_remove_clip"]:
        return value, slope
    low = 1.0 - params["cliprange"]
    return least(credit, value, slope, max(logp, low), 1.0 if logp >= low else 0.0)


def row_entropy(inputs, i):
    """Return the mean entropy of a row's tokens."""
    inside = [h for h, kept in zip(inputs["entropy"][i], inputs["mask"][i], strict=True) if kept]
    return sum(inside) / len(inside)


def reduce(params, inputs, rows, token, counted=None):
    """Return Σ −Â·F / N over the tokens of some rows, and its gradient by their log-probs.

    `token(i, t)` returns (Â, F, dF/dlogp); `counted(i, t)` tells whether a token counts.
    """
    mask = np.array(inputs["mask"])
    tokens = [(i, t) for i in rows for t in range(mask.shape[1]) if mask[i, t]]
    tokens = [place for place in tokens if counted is None or counted(*place)]
    total = mask.shape[1] if params["loss_remove_token_mean"] else len(tokens)
    loss, grad = 0.0, np.zeros(mask.shape)
    for i, t in tokens:
        credit, value, slope = token(i, t)
        loss -= credit * value / total
        grad[i, t] -= credit * slope / total
    return loss, grad


def policy_loss(params, inputs, credit, rows):
    """Return the clipped policy loss of some rows."""

    def token(i, t):
        ratio = math.exp(inputs["logprobs"][i][t] - inputs["old_logprobs"][i][t])
        # The policy loss has no upper bound of its own.
        return (credit[i, t], *clipped({**params, "clip_upper_bound": 1.0}, credit[i, t], ratio, ratio))

    return reduce(params, inputs, rows, token)


def mixed_loss(params, inputs, credit, rows, kind="on_off"):
    """Return the loss on rollouts and demonstrations together; `kind` is the function's algorithm."""
    logp, old, targets = inputs["logprobs"], inputs["old_logprobs"], inputs.get("target_probs")

    def token(i, t):
        if inputs["is_demo"][i]:
            weight = params["off_loss_coef"] if kind == "on_off_weight" else 1.0
            weight *= inputs["whether_off"][i] if kind == "on_off_mask" else 1.0
            target = None if targets is None else targets[i][t]
            value, slope = demonstration_surrogate(params, logp[i][t], target)
            return weight * credit[i, t], value, slope
        if kind == "srft":
            own = 0.1 * math.exp(row_entropy(inputs, i)) if inputs["rewards"][i] == 1 else -1.0
            return (own, *srft_surrogate(params, own, logp[i][t], old[i][t]))
        plain = rollout_surrogate(params, logp[i][t], old[i][t])
        return (credit[i, t], *clipped(params, credit[i, t], *plain))

    bound = params.get("all_max_clip")
    return reduce(
        params, inputs, rows, token, None if bound is None else lambda i, t: math.exp(logp[i][t]) <= bound
    )


def imitation(inputs, rows, weights):
    """Return the mean over the tokens of some rows of −w · logp; 0 where there are none."""
    if not rows:
        return 0.0, np.zeros(np.shape(inputs["mask"]))
    mean = {"loss_remove_token_mean": False}
    return reduce(mean, inputs, rows, lambda i, t: (weights[i], inputs["logprobs"][i][t], 1.0))
