"""Losses written down as the papers and the released code have them, one row at a time, for autograd.

Nothing here uses the estimator: plain loops, `statistics` for group moments, min and clamp for the clip.
"""

import statistics

import torch


def tokens(step, values, row):
    """Return a row's values inside the response mask."""
    return values[row][step.response_mask[row]]


def rollouts(step, question=None):
    """Return the indices of rollouts, of one question or of all."""
    return [
        i
        for i, demonstration in enumerate(step.is_demonstration.tolist())
        if not demonstration and question in (None, int(step.group[i]))
    ]


def demonstrations(step, question=None):
    """Return the indices of demonstrations, of one question or of all."""
    return [
        i
        for i, demonstration in enumerate(step.is_demonstration.tolist())
        if demonstration and question in (None, int(step.group[i]))
    ]


def questions(step):
    """Return the ids of all questions."""
    return sorted(set(step.group.tolist()))


def solve_rate(step, question):
    """Return the share of a question's rollouts whose reward is exactly 1."""
    return statistics.mean(float(step.reward[i]) == 1.0 for i in rollouts(step, question))


def advantage(step, row, *, std):
    """Return (r − mean) / (std + 1e-6) over the row's rollouts; mean 0 and std 1 for a single one."""
    rewards = [float(step.reward[i]) for i in rollouts(step, int(step.group[row]))]
    mean, spread = (0.0, 1.0) if len(rewards) == 1 else (statistics.mean(rewards), statistics.stdev(rewards))
    credit = float(step.reward[row]) - mean
    return credit / (spread + 1e-6) if std else credit


def clipped(step, policy, row, *, low, high, std):
    """Return PPO's min(ratio·Â, clip(ratio)·Â) of each token of a row."""
    ratio = (tokens(step, policy.logp, row) - tokens(step, step.behavior_logp, row)).exp()
    credit = advantage(step, row, std=std)
    return torch.minimum(ratio * credit, ratio.clamp(1 - low, 1 + high) * credit)


def unclipped(step, policy, row):
    """Return ratio·Â of each token, without std."""
    ratio = (tokens(step, policy.logp, row) - tokens(step, step.behavior_logp, row)).exp()
    return ratio * advantage(step, row, std=False)


def pooled_mean(step, values, rows):
    """Return the mean over all tokens of some rows."""
    return torch.cat([tokens(step, values, i) for i in rows]).mean()


def sft(step, policy):
    """Negative log-likelihood, mean over all tokens of all demonstrations."""
    return -pooled_mean(step, policy.logp, demonstrations(step))


def reinforce(step, policy, solved=1.0, failed=-1.0):
    """±log-likelihood of each rollout, token mean, then mean over rollouts."""
    chosen = rollouts(step)
    signs = [solved if float(step.reward[i]) == 1.0 else failed for i in chosen]
    means = [tokens(step, policy.logp, i).mean() for i in chosen]
    return -sum(sign * mean for sign, mean in zip(signs, means, strict=True)) / len(chosen)


def grpo(step, policy, low=0.2, high=0.2, std=True):
    """DeepSeekMath eq. 3 without KL: mean over rollouts of token means."""
    chosen = rollouts(step)
    return -sum(clipped(step, policy, i, low=low, high=high, std=std).mean() for i in chosen) / len(chosen)


def dr_grpo(step, policy, length=8192, low=0.2, high=0.2):
    """Dr. GRPO listing 1: token sums over a constant, mean over rollouts."""
    chosen = rollouts(step)
    sums = [clipped(step, policy, i, low=low, high=high, std=False).sum() for i in chosen]
    return -sum(sums) / length / len(chosen)


def hpt(step, policy, gate=0.0, beta=1.0, entropy=0.0, length=8192):
    """Released code on one cell: Σ ratio·Â / length, β · pooled token-mean NLL, entropy of trained rows."""
    kept = [i for q in questions(step) if solve_rate(step, q) > gate for i in rollouts(step, q)]
    copied = [i for q in questions(step) if solve_rate(step, q) <= gate for i in demonstrations(step, q)]
    loss = policy.logp.new_zeros(())
    for i in kept:
        loss = loss - unclipped(step, policy, i).sum() / length
    if copied:
        loss = loss - beta * pooled_mean(step, policy.logp, copied)
    if kept + copied:
        loss = loss - entropy * pooled_mean(step, policy.entropy, kept + copied)
    return loss


def hpt_equations(step, policy, gate=0.0, beta=1.0, clip=0.2):
    """Eq. 11-13, averaged over questions: (1/n) Σᵢ Σ_t min(…) where solved, else β · mean NLL."""
    total = policy.logp.new_zeros(())
    for q in questions(step):
        if solve_rate(step, q) > gate:
            rows = rollouts(step, q)
            parts = [clipped(step, policy, i, low=clip, high=clip, std=True).sum() for i in rows]
            total = total - sum(parts) / len(rows)
        else:
            rows = demonstrations(step, q)
            total = total - beta * sum(tokens(step, policy.logp, i).mean() for i in rows) / len(rows)
    return total / len(questions(step))


def gspo(step, policy, low=0.2, high=0.2):
    """GSPO eq. 5 and 7: the clipped length-normalised sequence ratio, mean over rollouts."""
    chosen, total = rollouts(step), 0.0
    for i in chosen:
        ratio = (tokens(step, policy.logp, i) - tokens(step, step.behavior_logp, i)).mean().exp()
        credit = advantage(step, i, std=True)
        total = total + torch.minimum(ratio * credit, ratio.clamp(1 - low, 1 + high) * credit)
    return -total / len(chosen)
