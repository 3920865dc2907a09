"""Losses and advantages for some of TRL's and verl's options, written out with autograd and loops over rows.

They share nothing with the parts that they are compared with, and no line with either library: each follows
what the library documents, its departures from the papers included.
"""

import torch


def row_terms(ratio, advantage, low, high):
    """PPO's min-clip, to be ascended."""
    return torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def trl_row_objective(options, logp, old, ref, mask, advantage):
    """What TRL averages over one row's tokens, as a matrix row."""
    inside = mask.bool()
    token = (logp - old).exp()
    length = mask.sum().clamp(min=1)
    sequence = ((logp - old)[inside].sum() / length).exp().expand_as(logp)
    ratio = sequence if options["importance_sampling_level"] == "sequence" else token
    kind = options["loss_type"]
    if kind == "cispo":
        value = ratio.clamp(max=options["epsilon_high"]).detach() * advantage * logp
    elif kind == "sapo":
        tau = options["sapo_temperature_pos"] if advantage > 0 else options["sapo_temperature_neg"]
        value = torch.sigmoid(tau * (ratio - 1)) * 4 / tau * advantage
    else:
        capped = ratio.clamp(max=options["delta"]) if options.get("delta") else ratio
        clipped = ratio.clamp(1 - options["epsilon_low"], 1 + options["epsilon_high"])
        value = torch.minimum(capped * advantage, clipped * advantage)
    if options["beta"]:
        divergence = (ref - logp).exp() - (ref - logp) - 1
        value = value - options["beta"] * divergence * (ratio if options["use_bias_correction_kl"] else 1.0)
    return torch.where(inside, value, torch.zeros(()))


def trl_loss(options, logp, old, ref, mask, advantages):
    """GRPOTrainer's loss of one optimizer step, whose micro-batches are cut in the order of the rows."""
    steps = options["gradient_accumulation_steps"]
    size = len(mask) // steps
    total = torch.zeros(())
    for start in range(0, len(mask), size):
        rows = range(start, start + size)
        found = [trl_row_objective(options, logp[i], old[i], ref[i], mask[i], advantages[i]) for i in rows]
        lengths = [mask[i].sum() for i in rows]
        kind = options["loss_type"]
        if kind in ("grpo", "sapo"):
            mean = sum(value.sum() / n.clamp(min=1) for value, n in zip(found, lengths, strict=True)) / size
        elif kind == "bnpo":
            mean = sum(value.sum() for value in found) / sum(lengths)
        elif kind == "dr_grpo":
            mean = sum(value.sum() for value in found) / (size * options["max_completion_length"])
        else:
            batches = options.get("steps_per_generation", steps)
            first = start - start % (batches * size)
            whole = mask[first : first + batches * size].sum()
            mean = sum(value.sum() for value in found) / (whole / batches)
        total = total - mean / steps
    return total


def group_rows(group):
    return [(group == each).nonzero().squeeze(1) for each in torch.unique(group)]


def trl_advantages(options, rewards, group):
    """Relative to the group; its standard deviation, the whole step's, or none divides."""
    found = torch.zeros_like(rewards)
    for rows in group_rows(group):
        spread = {"group": rewards[rows].std() + 1e-4, "batch": rewards.std() + 1e-4, "none": 1.0}
        found[rows] = (rewards[rows] - rewards[rows].mean()) / spread[options["scale_rewards"]]
    return found


def rloo_loss(options, logp, old, ref, mask, advantages):
    """RLOOTrainer clips the ratio of the whole response."""
    ratio = ((logp - old) * mask).sum(dim=1).exp()
    return -row_terms(ratio, advantages, options["epsilon_low"], options["epsilon_high"]).mean()


def rloo_advantages(options, rewards, group, old, ref, mask):
    """Relative to the other rewards of the group, from which a divergence was subtracted."""
    rewards = rewards - options["beta"] * ((old - ref) * mask).sum(dim=1)
    found = torch.zeros_like(rewards)
    for rows in group_rows(group):
        for row in rows:
            others = rows[rows != row]
            found[row] = rewards[row] - rewards[others].mean()
    if options["normalize_advantages"]:
        found = (found - found.mean()) / (found.std() + 1e-4)
    return found


def sft_loss(options, logp, mask):
    """SFTTrainer: maximum likelihood, or weighed by the policy's own probability."""
    value = logp * logp.detach().exp() if options["loss_type"] == "dft" else logp
    return -(value * mask).sum() / options.get("num_items_in_batch", mask.sum())


def verl_average(options, values, mask):
    """verl's agg_loss over a mini-batch on one rank."""
    mode = options["loss_agg_mode"]
    if mode == "token-mean":
        return (values * mask).sum() / mask.sum()
    if mode == "token-sum":
        return (values * mask).sum()
    rows = [row for row in range(len(mask)) if mask[row].any()]
    sums = [(values[row] * mask[row]).sum() for row in rows]
    if mode == "seq-mean-token-mean":
        sums = [total / (mask[row].sum() + 1e-8) for total, row in zip(sums, rows, strict=True)]
    if mode == "seq-mean-token-sum-norm":
        sums = [total / options.get("loss_scale_factor", mask.shape[1]) for total in sums]
    return sum(sums) / len(rows)


def verl_matrix(options, logp, old, mask, advantages):
    """What verl averages for a loss_mode."""
    low, high = options["clip_ratio_low"], options["clip_ratio_high"]
    ratio = (logp - old).clamp(-20, 20).exp()
    mode = options["loss_mode"]
    if mode == "gpg":
        return -logp * advantages
    if mode == "cispo":
        return -ratio.clamp(1 - low, 1 + high).detach() * advantages * logp
    if mode == "dro":
        return -(logp * advantages - options["dro_beta"] / 2 * (logp - old) ** 2)
    if mode == "sapo":
        tau = torch.where(advantages > 0, options["tau_pos"], options["tau_neg"])
        return -torch.sigmoid(tau * (ratio - 1)) * 4 / tau * advantages
    if mode == "gspo":
        mean = ((logp - old) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        moved = (mean[:, None].detach() + logp - logp.detach()).clamp(max=10)
        return -row_terms(moved.exp(), advantages, low, high)
    objective = row_terms(ratio, advantages, low, high)
    dual = torch.maximum(objective, options["clip_ratio_c"] * advantages)
    return -torch.where(advantages < 0, dual, objective)


def verl_divergence(kind, logp, ref):
    gap = logp - ref
    half = gap**2 / 2
    if kind.endswith("+"):
        return half + (verl_divergence(kind[:-1], logp, ref) - half).detach()
    k3 = ((-gap).exp() + gap - 1).clamp(-10, 10)
    return {"k1": gap, "abs": gap.abs(), "k2": half, "mse": half}.get(kind, k3)


def verl_loss(options, logp, old, ref, mask, advantages):
    """The actor's loss: policy, and divergence from the reference policy."""
    own = {"loss_agg_mode": "seq-mean-token-mean"} if options["loss_mode"] == "sapo" else {}
    loss = verl_average({**options, **own}, verl_matrix(options, logp, old, mask, advantages), mask)
    if options.get("use_kl_loss"):
        divergence = verl_divergence(options["kl_loss_type"], logp, ref)
        loss = loss + options["kl_loss_coef"] * verl_average(options, divergence, mask)
    return loss


def whitened(values, mask):
    """verl's: means are sums over a count plus 1e-8."""
    count = mask.sum()
    mean = (values * mask).sum() / (count + 1e-8)
    variance = ((values - mean) ** 2 * mask).sum() / (count + 1e-8) * count / (count - 1)
    return (values - mean) / (variance + 1e-8).sqrt() * mask


def gae(options, rewards, values, mask):
    """Raw advantages, row by row from the last response token back; the reward is that token's."""
    found = torch.zeros_like(values)
    for row in range(len(mask)):
        later, value, reward = 0.0, 0.0, rewards[row]
        for place in reversed(mask[row].nonzero().squeeze(1).tolist()):
            error = reward + options["gamma"] * value - values[row, place]
            later = error + options["gamma"] * options["lam"] * later
            found[row, place], value, reward = later, values[row, place], 0.0
    return found


def verl_advantages(options, rewards, group, mask, values):
    """Advantages and returns of an adv_estimator, at response tokens."""
    kind = options["adv_estimator"]
    if kind == "gae":
        raw = gae(options, rewards, values, mask)
        return whitened(raw, mask), (raw + values) * mask
    found = torch.zeros_like(rewards)
    for rows in group_rows(group):
        scores, lengths = rewards[rows], mask[rows].sum(dim=1)
        if kind == "grpo":
            centered = scores - scores.mean() if len(rows) > 1 else scores
            spread = scores.std() if len(rows) > 1 else 1.0
            found[rows] = centered / (spread + 1e-6) if options["norm_adv_by_std_in_grpo"] else centered
        elif kind == "rloo":
            others = [scores[torch.arange(len(rows)) != i].mean() for i in range(len(rows))]
            found[rows] = scores - torch.stack(others) if len(rows) > 1 else scores
        else:
            found[rows] = scores - (scores * lengths).sum() / lengths.sum() if len(rows) > 1 else scores
    return (found[:, None] * mask,) * 2
