"""Textbook losses of reinforcement: papers' equations, one row at a time, for autograd."""

import math
import statistics

import torch

from tests.algorithms.textbook import advantage, clipped, grpo, rollouts, tokens


def ratios(step, policy, row):
    """Return π_θ/π_behavior at a row's tokens."""
    return (tokens(step, policy.logp, row) - tokens(step, step.behavior_logp, row)).exp()


def siblings(step, row):
    """Return the rewards of the other rollouts of a row's question."""
    return [float(step.reward[i]) for i in rollouts(step, int(step.group[row])) if i != row]


def token_mean(step, parts):
    """Return minus the mean over all rollouts' tokens of what `parts` holds for each of them."""
    return -torch.cat(parts).sum() / sum(int(step.response_mask[i].sum()) for i in rollouts(step))


def row_mean(step, parts):
    """Return minus the mean over all rollouts of what `parts` holds for each of them."""
    return -sum(parts) / len(rollouts(step))


def log_likelihood(step, policy, credit):
    """Σ_i credit(i) · log π(y_i), mean over rollouts."""
    return row_mean(step, [credit(i) * tokens(step, policy.logp, i).sum() for i in rollouts(step)])


def rloo(step, policy):
    """Ahmadian et al., eq. 8: reward minus the siblings' mean; a lone rollout keeps its reward."""

    def credit(i):
        others = siblings(step, i)
        return float(step.reward[i]) - (statistics.mean(others) if others else 0.0)

    return log_likelihood(step, policy, credit)


def remax(step, policy):
    """Li et al., alg. 1: reward minus that of the greedy response."""
    return log_likelihood(step, policy, lambda i: float(step.reward[i]) - float(step.greedy_reward[i]))


def opo(step, policy):
    """Hao et al.: reward minus the mean weighted by length; a lone rollout keeps its reward."""

    def credit(i):
        group = rollouts(step, int(step.group[i]))
        lengths = [int(step.response_mask[j].sum()) for j in group]
        weighted = [n * float(step.reward[j]) for n, j in zip(lengths, group, strict=True)]
        return float(step.reward[i]) - (sum(weighted) / sum(lengths) if len(group) > 1 else 0.0)

    return log_likelihood(step, policy, credit)


def gpg(step, policy, std=False):
    """Chu et al.: token mean of Â log π, times rows over rows of groups with different rewards."""
    active = [
        i
        for i in rollouts(step)
        if len({float(step.reward[j]) for j in rollouts(step, int(step.group[i]))}) > 1
    ]
    scale = len(rollouts(step)) / len(active)
    parts = [scale * advantage(step, i, std=std) * tokens(step, policy.logp, i) for i in rollouts(step)]
    return token_mean(step, parts)


def whitened(credits):
    """Return (A − mean) / sqrt(var + 1e-8) of lists of floats, moments over all of them."""
    flat = [value for row in credits.values() for value in row]
    mean, spread = statistics.mean(flat), math.sqrt(statistics.variance(flat) + 1e-8)
    return {i: [(value - mean) / spread for value in row] for i, row in credits.items()}


def clipped_by_token(step, policy, credits, low=0.2, high=0.2):
    """PPO's objective with an advantage for each token, token mean."""
    parts = []
    for i in rollouts(step):
        credit = torch.tensor(credits[i], dtype=policy.logp.dtype)
        ratio = ratios(step, policy, i)
        parts.append(torch.minimum(ratio * credit, ratio.clamp(1 - low, 1 + high) * credit))
    return token_mean(step, parts)


def reinforce_plus_plus(step, policy, gamma=1.0, low=0.2, high=0.2):
    """Hu et al.: discounted reward at the end, whitened over the step's tokens, clipped."""
    credits = {}
    for i in rollouts(step):
        length = int(step.response_mask[i].sum())
        credits[i] = [float(step.reward[i]) * gamma ** (length - 1 - t) for t in range(length)]
    return clipped_by_token(step, policy, whitened(credits), low, high)


def reinforce_plus_plus_baseline(step, policy, low=0.2, high=0.2):
    """Hu et al.: reward minus the group's mean, whitened over the step's tokens, clipped."""
    credits = {i: [advantage(step, i, std=False)] * int(step.response_mask[i].sum()) for i in rollouts(step)}
    return clipped_by_token(step, policy, whitened(credits), low, high)


def generalized(step, row, gamma, lam):
    """Return GAE of a row, backwards over its tokens alone, and the returns."""
    values = tokens(step, step.value, row).tolist()
    credits, later, following = [], 0.0, 0.0
    for t in reversed(range(len(values))):
        reward = float(step.reward[row]) if t == len(values) - 1 else 0.0
        later = reward + gamma * following - values[t] + gamma * lam * later
        following = values[t]
        credits.insert(0, later)
    return credits, [a + v for a, v in zip(credits, values, strict=True)]


def ppo(step, policy, gamma=1.0, lam=1.0, weight=1.0, clip=0.5, low=0.2, high=0.2):
    """Clipped policy loss with whitened GAE, plus the clipped value loss, each a token mean."""
    estimates = {i: generalized(step, i, gamma, lam) for i in rollouts(step)}
    errors = []
    for i, (_, returns) in estimates.items():
        value, old = tokens(step, policy.value, i), tokens(step, step.value, i)
        target = torch.tensor(returns, dtype=value.dtype)
        near = torch.maximum(torch.minimum(value, old + clip), old - clip)
        errors.append(torch.maximum((value - target) ** 2, (near - target) ** 2) / 2)
    credits = whitened({i: credits for i, (credits, _) in estimates.items()})
    return clipped_by_token(step, policy, credits, low, high) - weight * token_mean(step, errors)


def cispo(step, policy, low=0.0, high=5.0, std=True):
    """MiniMax-M1 eq. 4-5: sg(clip(ratio)) · Â · log π, token mean."""
    parts = [
        ratios(step, policy, i).detach().clamp(low, high)
        * advantage(step, i, std=std)
        * tokens(step, policy.logp, i)
        for i in rollouts(step)
    ]
    return token_mean(step, parts)


def gspo(step, policy, low=3e-4, high=4e-4, std=True):
    """Zheng et al., eq. 5 and 7: the clipped length-normalised ratio of the response, mean over rollouts."""
    parts = []
    for i in rollouts(step):
        ratio, credit = ratios(step, policy, i).log().mean().exp(), advantage(step, i, std=std)
        parts.append(torch.minimum(ratio * credit, ratio.clamp(1 - low, 1 + high) * credit))
    return row_mean(step, parts)


def gmpo(step, policy, low=0.4, high=0.4):
    """Zhao et al., eq. 4: geometric mean of ratios, each clipped in the log towards what Â asks for."""
    parts = []
    for i in rollouts(step):
        credit, logs = advantage(step, i, std=True), ratios(step, policy, i).log()
        bounded = logs.clamp(max=high) if credit > 0 else logs.clamp(min=-low)
        parts.append(credit * bounded.mean().exp())
    return row_mean(step, parts)


def sapo(step, policy, positive=1.0, negative=1.05):
    """Gao et al.: 4/τ · σ(τ(ratio − 1)) · Â, mean over rollouts of token means."""
    parts = []
    for i in rollouts(step):
        credit = advantage(step, i, std=True)
        tau = positive if credit > 0 else negative
        parts.append((4 / tau * torch.sigmoid(tau * (ratios(step, policy, i) - 1)) * credit).mean())
    return row_mean(step, parts)


def dapo(step, policy, low=0.2, high=0.28):
    """Yu et al., eq. 8: the clipped objective, token mean."""
    return token_mean(step, [clipped(step, policy, i, low=low, high=high, std=True) for i in rollouts(step)])


def dual_clip(step, policy, dual=3.0, low=0.2, high=0.2):
    """Ye et al., eq. 5: max(min-clip, dual · Â) where Â < 0."""
    parts = []
    for i in rollouts(step):
        objective, credit = (
            clipped(step, policy, i, low=low, high=high, std=True),
            advantage(step, i, std=True),
        )
        parts.append((objective if credit >= 0 else objective.clamp(min=dual * credit)).mean())
    return row_mean(step, parts)


def two_sided_clip(step, policy, delta=4.0, low=0.2, high=0.2):
    """INTELLECT-2: min(min(ratio, δ) · Â, clip(ratio) · Â)."""
    parts = []
    for i in rollouts(step):
        ratio, credit = ratios(step, policy, i), advantage(step, i, std=True)
        bounded = ratio.clamp(max=delta) * credit
        parts.append(torch.minimum(bounded, ratio.clamp(1 - low, 1 + high) * credit).mean())
    return row_mean(step, parts)


def corrected(step, policy, weigh, low=0.2, high=0.2):
    """GRPO with each token's objective times a function of π_behavior/π_sampler; given tokens weigh 1."""
    parts = []
    for i in rollouts(step):
        mismatch = (tokens(step, step.behavior_logp, i) - tokens(step, step.sampler_logp, i)).exp()
        weights = [
            1.0 if given else weigh(float(w))
            for w, given in zip(mismatch, tokens(step, step.prefix_mask, i), strict=True)
        ]
        objective = clipped(step, policy, i, low=low, high=high, std=True)
        parts.append((torch.tensor(weights, dtype=objective.dtype) * objective).mean())
    return row_mean(step, parts)


def grpo_tis(step, policy, cap=2.0):
    """Yao et al.: the weight is cut off above."""
    return corrected(step, policy, lambda w: min(w, cap))


def grpo_mis(step, policy, low=0.0, high=2.0):
    """Masked importance sampling: the weight is 0 outside its bounds."""
    return corrected(step, policy, lambda w: w if low <= w <= high else 0.0)


def grpo_kl(step, policy, weight=0.04, std=True, low=0.2, high=0.2):
    """DeepSeekMath eq. 3-4: with the k3 estimate of the divergence from the reference."""
    penalties = []
    for i in rollouts(step):
        apart = tokens(step, step.reference_logp, i) - tokens(step, policy.logp, i)
        penalties.append((apart.exp() - apart - 1).mean())
    return grpo(step, policy, low, high, std) - weight * row_mean(step, penalties)


def covariances(step):
    """Return (Â − mean)(log π − mean) of every rollout's tokens, by row, at the policy of the plan."""
    chosen = rollouts(step)
    logps = {i: tokens(step, step.current_logp, i).tolist() for i in chosen}
    credits = {i: advantage(step, i, std=True) for i in chosen}
    mean_logp = statistics.mean(value for row in logps.values() for value in row)
    mean_credit = statistics.mean(credits[i] for i, row in logps.items() for _ in row)
    return {i: [(credits[i] - mean_credit) * (v - mean_logp) for v in row] for i, row in logps.items()}


def clip_cov(step, policy, low, high, clip_low=0.2, clip_high=0.2):
    """Cui et al., Clip-Cov with all of the band drawn: tokens that the clip keeps lose their gradient."""
    parts = []
    for i, covariance in covariances(step).items():
        credit, ratio = advantage(step, i, std=True), ratios(step, policy, i)
        band = torch.tensor([low < value < high for value in covariance])
        kept = ratio <= 1 + clip_high if credit > 0 else ratio >= 1 - clip_low
        objective = clipped(step, policy, i, low=clip_low, high=clip_high, std=True)
        parts.append(torch.where(band & kept, objective.detach(), objective))
    return token_mean(step, parts)


def kl_cov(step, policy, share=0.002, weight=1.0):
    """Cui et al., KL-Cov: ratio · Â, minus |log ratio| at the tokens of largest covariance."""
    found = covariances(step)
    ordered = sorted((value for row in found.values() for value in row), reverse=True)
    least = ordered[max(int(share * len(ordered)), 1) - 1]
    parts = []
    for i, covariance in found.items():
        ratio = ratios(step, policy, i)
        penalty = torch.where(torch.tensor(covariance) >= least, weight * ratio.log().abs(), 0.0)
        parts.append(ratio * advantage(step, i, std=True) - penalty)
    return token_mean(step, parts)
