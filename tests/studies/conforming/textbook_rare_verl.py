"""Rarer losses and advantages of verl, written out with autograd and loops over rows.

As in `textbook`, nothing is shared with the parts that they are compared with.
"""

import math

import torch

from tests.studies.conforming import textbook


def token_mean(values, mask):
    return (values * mask).sum() / mask.sum()


def geo_mean(options, world, logp, advantages):
    """verl's GMPO: rows over their tokens plus 1e-8, and the geometric mean of the rollout weights."""
    total = torch.zeros(())
    for row in range(len(world.mask)):
        mask = world.mask[row]
        length = mask.sum() + 1e-8
        sign = advantages[row].sign()
        moved = (logp - world.old)[row]
        bounded = moved.clamp(-options["clip_ratio_low"], options["clip_ratio_high"])
        moved = sign * torch.minimum(sign * moved, sign * bounded)
        ratio = ((moved * mask).sum() / length).exp()
        weight = (((world.weights[row] + 1e-10).log() * mask).sum() / length).exp()
        total = total - (advantages[row] * mask).sum() / length * ratio * weight
    return total / len(world.mask)


def dppo_tv(options, world, logp, advantages):
    """Truncated importance sampling of tokens within a total variation of the behavior policy."""
    ratio = (logp - world.old).clamp(-20, 20).exp().clamp(max=options["clip_ratio_c"]).detach()
    gap = (logp.exp() - world.old.exp()).detach()
    up, down = gap <= options["clip_ratio_high"], gap >= -options["clip_ratio_low"]
    valid = torch.where(advantages > 0, up, down)
    return -token_mean(advantages * ratio * logp * valid * world.weights, world.mask)


def covariance(world, logp, advantages):
    inside = world.mask.bool()
    logp = logp.detach()
    return (advantages - advantages[inside].mean()) * (logp - logp[inside].mean())


def kl_cov(options, world, logp, advantages):
    """|log-ratio| is added for the tokens of largest covariance."""
    inside = world.mask.bool()
    among = torch.where(inside, covariance(world, logp, advantages), -math.inf)
    count = max(1, int(int(inside.sum()) * options["kl_cov_ratio"]))
    chosen = among >= among.flatten().sort(descending=True).values[count - 1]
    moved = logp - world.old
    penalty = options["ppo_kl_coef"] * moved.abs() * chosen
    return -token_mean((moved.exp() * advantages - penalty) * world.weights, world.mask)


def clip_cov(options, world, logp, advantages):
    """Every token of the band loses its gradient, unless the clip holds it already."""
    low, high = options["clip_ratio_low"], options["clip_ratio_high"]
    ratio = (logp - world.old).exp()
    objective = textbook.row_terms(ratio, advantages, low, high)
    free = objective.detach() >= (ratio * advantages).detach()
    spread = covariance(world, logp, advantages)
    band = free & (spread > options["clip_cov_lb"]) & (spread < options["clip_cov_ub"])
    return -token_mean(objective * ~band, world.mask)


def bypass(options, world, logp, advantages):
    """REINFORCE with truncated ratios, on tokens whose own ratio is within bounds."""
    correction = {"rollout_is": "sequence", "rollout_is_threshold": 2.0, **options["rollout_correction"]}
    moved = (logp - world.old).detach()
    kept = world.mask
    if correction.get("rollout_rs"):
        low, high = map(float, correction["rollout_rs_threshold"].split("_"))
        kept = world.mask * (-moved >= math.log(low)) * (-moved <= math.log(high))
    return -token_mean(bypass_weights(correction, moved, world.mask) * advantages * logp, kept)


def bypass_weights(correction, moved, mask):
    """The ratio of each token, or of its row, cut above or dropped, and over the mean of all that count."""
    if correction["rollout_is"] is None or correction["rollout_is_threshold"] is None:
        return 1.0
    rows = correction["rollout_is"] == "sequence"
    if rows:
        moved = (moved * mask).sum(dim=1, keepdim=True).expand_as(mask)
    low, _, high = str(correction["rollout_is_threshold"]).rpartition("_")
    weight = moved.clamp(-20, 20).exp()
    within = (weight >= float(low or 0)) & (weight <= float(high))
    weight = weight * within if low else weight.clamp(max=float(high))
    if not correction.get("rollout_is_batch_normalize"):
        return weight
    counted = [(weight[row] * mask[row]).sum() for row in range(len(mask)) if mask[row].any()]
    lengths = [mask[row].sum() for row in range(len(mask)) if mask[row].any()]
    shares = [total / (length + 1e-8) for total, length in zip(counted, lengths, strict=True)]
    mean = sum(shares) / len(shares) if rows else sum(counted) / (sum(lengths) + 1e-8)
    return weight / mean if mean > 1e-8 else weight


def lowered_rewards(options, world):
    """Rewards less a divergence of the behavior policy from the reference policy, summed over the row."""
    if not options.get("kl_reward_coef"):
        return world.rewards
    divergence = textbook.verl_divergence(options["kl_penalty"], world.old, world.ref)
    return world.rewards - options["kl_reward_coef"] * (divergence * world.mask).sum(dim=1)


def of_token_rewards(world):
    """The group-relative sum of each row's rewards by token, all positions counted."""
    total = world.values.sum(dim=1)
    found = torch.zeros_like(total)
    for rows in textbook.group_rows(world.group):
        found[rows] = (total[rows] - total[rows].mean()) / (total[rows].std() + 1e-6)
    return found[:, None] * world.mask


def pass_at_k(world, normalize=True):
    """The best response's lead over the second."""
    found = torch.zeros_like(world.rewards)
    for rows in textbook.group_rows(world.group):
        rewards = world.rewards[rows]
        first, second = rewards.sort(descending=True).values[:2]
        spread = rewards.std() + 1e-6 if normalize else 1.0
        found[rows[rewards.argmax()]] = (first - second) / spread
    return found[:, None] * world.mask


def token_returns(world, gamma):
    found = torch.zeros_like(world.mask)
    for row in range(len(world.mask)):
        later = world.rewards[row]
        for place in reversed(world.mask[row].nonzero().squeeze(1).tolist()):
            found[row, place], later = later, later * gamma
    return found


def token_baseline(world, packed):
    """Reward-to-go less the group's mean at the same place, weighed by accumulated variance."""
    returns = token_returns(world, 1.0)
    variance = (1 - 2 * world.old.exp() + world.squared) * world.mask
    weight, found = variance.cumsum(dim=1), returns.clone()
    for rows in textbook.group_rows(world.group):
        places = {int(row): world.mask[row].nonzero().squeeze(1).tolist() for row in rows}
        if packed:
            places = {row: spots for row, spots in places.items() if spots}
        lengths = sorted(len(spots) for spots in places.values())
        for row, spots in places.items():
            for number, spot in enumerate(spots):
                at = number if packed else spot
                same = [
                    (other, there[at] if packed else spot)
                    for other, there in places.items()
                    if (at < len(there) if packed else spot in there)
                ]
                alone_in_tail = len(spots) == lengths[-1] > lengths[-2] and at >= lengths[-2]
                if alone_in_tail:
                    continue
                top = sum(weight[place] * returns[place] for place in same)
                found[row, spot] -= top / (sum(weight[place] for place in same) + 1e-8)
    return found * world.mask, returns


def value_loss(options, predicted, values, returns, mask):
    """verl's critic: the larger of the clipped and the plain squared error, halved."""
    reach = options["cliprange_value"]
    clipped = torch.minimum(torch.maximum(predicted, values - reach), values + reach)
    errors = torch.maximum((predicted - returns) ** 2, (clipped - returns) ** 2)
    return textbook.verl_average(options, errors, mask) / 2
