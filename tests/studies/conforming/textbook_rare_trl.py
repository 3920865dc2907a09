"""Rarer losses and advantages of TRL, written out with autograd and loops over rows.

As in `textbook`, nothing is shared with the parts that they are compared with.
"""

import math

import torch

from tests.studies.conforming import textbook


def token_mean(values, mask):
    return (values * mask).sum() / mask.sum()


def row_means(values, mask):
    """Mean over rows of the rows' means, rows without tokens counted as 0."""
    return ((values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()


def clipped(options, world, logp, advantages):
    low, high = options["epsilon_low"], options["epsilon_high"]
    return textbook.row_terms((logp - world.old).exp(), advantages[:, None], low, high)


def high_entropy(world, share):
    """Tokens at or above the quantile, which is taken in single precision."""
    single = world.entropy[world.mask.bool()].float()
    return (world.entropy >= torch.quantile(single, 1 - share)).double() * world.mask


def sampler_weights(options, world):
    """Weights of all positions; a token that the sampler did not report, and padding, have a ratio of 1."""
    if not options.get("vllm_importance_sampling_correction", True):
        return torch.ones_like(world.old)
    gap = (world.old - world.sampler).nan_to_num(nan=0.0) * world.mask
    mode = options["vllm_importance_sampling_mode"]
    if mode.startswith("sequence"):
        gap = gap.sum(dim=1, keepdim=True).expand_as(gap)
    weight = gap.exp()
    low = options.get("vllm_importance_sampling_clip_min", 0.0)
    high = options["vllm_importance_sampling_clip_max"]
    if mode.endswith("truncate"):
        return weight.clamp(low, high)
    return torch.where((weight < low) | (weight > high), torch.zeros(()), weight)


def trl_masked(options, world, logp, advantages):
    """GRPO's row mean, with what other options multiply the clipped objective by."""
    value = clipped(options, world, logp, advantages)
    if "off_policy_mask_threshold" in options:
        base = world.sampler if "vllm_importance_sampling_mode" in options else world.old
        gap = (base - logp.detach()).nan_to_num(nan=0.0) * world.mask
        moved = gap.sum(dim=1) / world.mask.sum(dim=1).clamp(min=1)
        kept = (advantages >= 0) | (moved <= options["off_policy_mask_threshold"])
        value = value * kept[:, None]
    bonus = world.mask
    if "top_entropy_quantile" in options:
        bonus = high_entropy(world, options["top_entropy_quantile"])
        value = value * bonus
    if "vllm_importance_sampling_mode" in options:
        value = value * sampler_weights(options, world)
    loss = -row_means(value, world.mask)
    return loss - options.get("entropy_coef", 0.0) * token_mean(world.entropy, bonus)


def vespo(options, world, logp, advantages):
    """φ(w) = e^λ w^k e^(−λw) of the whole row's ratio, held constant; 0 where it overflows."""
    value, correction = torch.zeros(()), torch.zeros_like(logp)
    if "vllm_importance_sampling_mode" in options:
        correction = sampler_weights(options, world).log().clamp(math.log(1e-8), 20)
    for row, advantage in enumerate(advantages):
        sign = "pos" if advantage >= 0 else "neg"
        k, decay = options[f"vespo_k_{sign}"], options[f"vespo_lambda_{sign}"]
        moved = ((logp - world.old)[row].detach().clamp(-20, 20) * world.mask[row]).sum()
        w = (moved + correction[row].sum()).clamp(math.log(1e-8), 20).exp()
        phi = math.exp(decay) * w**k * (-decay * w).exp()
        phi = 0.0 if phi.isinf() else phi
        value = value + (phi * advantage * logp[row] * world.mask[row]).sum()
    return -value / world.mask.sum()


def gmpo(options, world, logp, advantages):
    """The geometric mean of ratios that were each clipped on the side their advantage pushes to.

    The mean may be that of tokens of high entropy alone; the divergence is that of all.
    """
    total, chosen = torch.zeros(()), world.mask
    if "top_entropy_quantile" in options:
        chosen = high_entropy(world, options["top_entropy_quantile"])
    for row, advantage in enumerate(advantages):
        inside = chosen[row].bool()
        moved = (logp - world.old)[row][inside]
        if advantage > 0:
            moved = moved.clamp(max=options["epsilon_high"])
        else:
            moved = moved.clamp(min=-options["epsilon_low"])
        total = total - advantage * (moved.sum() / max(len(moved), 1)).exp()
    gap = world.ref - logp
    divergence = torch.where(world.mask.bool(), gap.exp() - gap - 1, 0.0)
    return total / len(advantages) + options.get("beta", 0.0) * row_means(divergence, world.mask)


def scored(values):
    return values[~values.isnan()]


def of_group(rewards, group, normalize=True):
    """Relative to the group's scored rewards; 0 without a score, or without another to compare with."""
    found = torch.zeros_like(rewards)
    for rows in textbook.group_rows(group):
        there = scored(rewards[rows])
        if len(there) > 1:
            spread = there.std() + 1e-4 if normalize else 1.0
            found[rows] = ((rewards[rows] - there.mean()) / spread).nan_to_num(nan=0.0)
    return found


def of_functions(options, rewards, group):
    """Advantages from several functions' rewards, summed before or after they are normalised."""
    weights = torch.tensor(options["reward_weights"])
    unknown = rewards.isnan().all(dim=1)
    if options["multi_objective_aggregation"] == "sum_then_normalize":
        total = (rewards * weights).nansum(dim=1)
        total[unknown] = math.nan
        return of_group(total, group)
    each = torch.stack([of_group(column, group) for column in rewards.T], dim=1)
    total = (each * weights).sum(dim=1)
    total[unknown] = math.nan
    return ((total - scored(total).mean()) / (scored(total).std() + 1e-4)).nan_to_num(nan=0.0)
