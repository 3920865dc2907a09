"""Textbook losses of weighted imitation and of imitation mixed with reinforcement, for autograd."""

import math
import statistics

import torch

from tests.algorithms.textbook import (
    clipped,
    demonstrations,
    grpo,
    pooled_mean,
    questions,
    rollouts,
    solve_rate,
    tokens,
    unclipped,
)
from tests.algorithms.textbook_reinforcement import dapo, ratios


def over_tokens(step, rows, loss):
    """Return the mean over all tokens of `rows` of what `loss` gives for each row."""
    parts = [loss(i) for i in rows]
    return torch.cat(parts).mean()


def weighted(step, policy, weigh):
    """−sg(weight) · log π over the demonstrations' tokens."""
    return -over_tokens(
        step,
        demonstrations(step),
        lambda i: weigh(i).detach() * tokens(step, policy.logp, i),
    )


def dft(step, policy):
    """Wu et al., eq. 9: −sg(π) log π."""
    return weighted(step, policy, lambda i: tokens(step, policy.logp, i).exp())


def f_alpha(step, policy, alpha=0.5):
    """Li et al.: (1 − π^α)/α."""
    return over_tokens(
        step, demonstrations(step), lambda i: (1 - tokens(step, policy.logp, i).exp() ** alpha) / alpha
    )


def trsft(step, policy, floor=0.1):
    """TrSFT: −π / max(sg π, floor)."""

    def loss(i):
        p = tokens(step, policy.logp, i).exp()
        return -p / p.detach().clamp(min=floor)

    return over_tokens(step, demonstrations(step), loss)


def iw_sft(step, policy, high=16.0):
    """Released code: min(exp(mean over tokens of log π/π_0), high), held constant, times log π."""

    def weigh(i):
        apart = tokens(step, policy.logp, i) - tokens(step, step.reference_logp, i)
        return apart.mean().exp().clamp(max=high)

    return weighted(step, policy, weigh)


def psft(step, policy, high=0.28):
    """Zhu et al.: −min(ratio, 1 + ε)."""
    return -over_tokens(step, demonstrations(step), lambda i: ratios(step, policy, i).clamp(max=1 + high))


def in_group(step, row, *, std):
    """Return the advantage of a row in its group of rollouts and demonstrations."""
    question = int(step.group[row])
    rewards = [float(step.reward[i]) for i in rollouts(step, question) + demonstrations(step, question)]
    if len(rewards) == 1:
        return rewards[0]
    credit = float(step.reward[row]) - statistics.mean(rewards)
    return credit / (statistics.stdev(rewards) + 1e-6) if std else credit


def shaped(step, policy, row, gamma=0.1):
    """Return π/(π + γ) at a row's tokens."""
    p = tokens(step, policy.logp, row).exp()
    return p / (p + gamma)


def total(parts, length):
    """Return minus the sum of all parts' tokens over a constant."""
    return -sum(part.sum() for part in parts) / length


def entropy_of(step, policy, rows):
    """Return the mean entropy of some rows' tokens."""
    return pooled_mean(step, policy.entropy, rows)


def luffy(step, policy, gamma=0.1, std=False, entropy=0.0, length=8192):
    """Released code on one cell: Σ ratio·Â of rollouts and Σ f(π)·Â of demonstrations, over a constant."""
    on = [ratios(step, policy, i) * in_group(step, i, std=std) for i in rollouts(step)]
    off = [shaped(step, policy, i, gamma) * in_group(step, i, std=std) for i in demonstrations(step)]
    everything = rollouts(step) + demonstrations(step)
    return total(on + off, length) - entropy * entropy_of(step, policy, everything)


def row_entropy(step, policy, row):
    """Return a row's mean token entropy, held constant."""
    return tokens(step, policy.entropy, row).mean().detach()


def srft(step, policy, sft=0.5, positive=0.1, gamma=0.1, entropy=0.0, length=8192):
    """Code of Lv et al.: entropy-weighted imitation, LUFFY's off-policy term, signed log-likelihoods."""
    imitated = weighted(step, policy, lambda i: sft * (-row_entropy(step, policy, i)).exp())
    parts = [shaped(step, policy, i, gamma) * in_group(step, i, std=False) for i in demonstrations(step)]
    for i in rollouts(step):
        solved = float(step.reward[i]) == 1.0
        weight = positive * row_entropy(step, policy, i).exp() if solved else -1.0
        parts.append(weight * tokens(step, policy.logp, i))
    everything = rollouts(step) + demonstrations(step)
    return imitated + total(parts, length) - entropy * entropy_of(step, policy, everything)


def mean_of(parts):
    """Return minus the mean over rows of their token means."""
    return -sum(part.mean() for part in parts) / len(parts)


def srft_equations(step, policy, sft=0.5, positive=0.1):
    """Appendix A.3: π·Â on demonstrations, Â with std, means over rows of token means."""
    taught = demonstrations(step)
    solved = [i for i in rollouts(step) if float(step.reward[i]) == 1.0]
    failed = [i for i in rollouts(step) if float(step.reward[i]) != 1.0]
    return (
        mean_of([sft * (-row_entropy(step, policy, i)).exp() * tokens(step, policy.logp, i) for i in taught])
        + mean_of([tokens(step, policy.logp, i).exp() * in_group(step, i, std=True) for i in taught])
        + mean_of(
            [positive * row_entropy(step, policy, i).exp() * tokens(step, policy.logp, i) for i in solved]
        )
        + mean_of([-tokens(step, policy.logp, i) for i in failed])
    )


def rl_plus(step, policy, power=0.5, vocabulary=151_936):
    """Dong et al.: the mixed ratio 2π/(π_w + π_old) with (1 − sg π)^γ · Â on demonstrations."""

    def external(i):
        p, old = tokens(step, policy.logp, i).exp(), tokens(step, step.behavior_logp, i).exp()
        teacher = old / 2 + 1 / (2 * vocabulary)
        return 2 * p / (teacher + old) * (1 - p.detach()) ** power * in_group(step, i, std=True)

    on = [ratios(step, policy, i) * in_group(step, i, std=True) for i in rollouts(step)]
    return mean_of(on) + mean_of([external(i) for i in demonstrations(step)])


def mixed(step, policy, mu, weigh=None, clip=0.2):
    """(1 − μ) GRPO + μ imitation, each a mean over its own tokens."""
    imitated = weighted(step, policy, weigh or (lambda i: torch.ones(())))
    return (1 - mu) * dapo(step, policy, clip, clip) + mu * imitated


def chord_mu(step, policy, peak=0.9, valley=0.05, over=0.4, warmup=0.0, clip=0.2):
    """Zhang et al., eq. 5: μ along half a cosine."""
    done = min((step.progress - warmup) / (over - warmup), 1.0)
    mu = valley + (peak - valley) * (1 + math.cos(math.pi * done)) / 2
    return mixed(step, policy, mu, clip=clip)


def phi(step, policy):
    """Return the weight π(1 − π) of tokens."""

    def weigh(i):
        p = tokens(step, policy.logp, i).exp()
        return p * (1 - p)

    return weigh


def chord_phi(step, policy, mu=0.1, clip=0.2):
    """Zhang et al., eq. 8."""
    return mixed(step, policy, mu, phi(step, policy), clip)


def uft(step, policy, hint=0.001, clip=0.2):
    """Liu et al.: GRPO on what was sampled, weighted log-likelihood of what was given."""
    loss = 0.0
    for i in rollouts(step):
        given = tokens(step, step.prefix_mask, i)
        objective, logp = (
            clipped(step, policy, i, low=clip, high=clip, std=True),
            tokens(step, policy.logp, i),
        )
        if (~given).any():
            loss = loss - objective[~given].mean()
        if given.any():
            loss = loss - hint * logp[given].mean()
    return loss / len(rollouts(step))


def prefix_rft(step, policy, share=0.2, clip=0.2, length=8192):
    """Huang et al.: Dr. GRPO, but that a prefix keeps the gradient of its most uncertain tokens alone."""
    loss = 0.0
    for i in rollouts(step):
        given = tokens(step, step.prefix_mask, i)
        objective = clipped(step, policy, i, low=clip, high=clip, std=False)
        loss = loss - objective[~given].sum()
        if given.any():
            entropy = tokens(step, policy.entropy, i)[given].detach()
            kept = entropy >= torch.quantile(entropy, 1 - share)
            loss = loss - objective[given][kept].sum()
    return loss / length / len(rollouts(step))


def routed(step, gate):
    """Return the rollouts of questions above the gate, and the demonstrations of the others."""
    kept = [i for q in questions(step) if solve_rate(step, q) > gate for i in rollouts(step, q)]
    taught = [i for q in questions(step) if solve_rate(step, q) <= gate for i in demonstrations(step, q)]
    return kept, taught


def hpt_off_on(step, policy, gate=0.0, gamma=0.1, entropy=0.0, length=8192):
    """Released code's off-policy branch: a demonstration's advantage is its reward."""
    kept, taught = routed(step, gate)
    parts = [unclipped(step, policy, i) for i in kept]
    parts += [shaped(step, policy, i, gamma) * float(step.reward[i]) for i in taught]
    return total(parts, length) - entropy * entropy_of(step, policy, kept + taught)


def hpt_mix_on(step, policy, gate=0.0, sft=0.1, off=1.0, gamma=0.1, entropy=0.0, length=8192):
    """Released code's mixed branch: imitation beside the off-policy term."""
    kept, taught = routed(step, gate)
    parts = [unclipped(step, policy, i) for i in kept]
    parts += [off * shaped(step, policy, i, gamma) * float(step.reward[i]) for i in taught]
    return (
        total(parts, length)
        - sft * pooled_mean(step, policy.logp, taught)
        - entropy * entropy_of(step, policy, kept + taught)
    )


def table(values, rate):
    """Return a table's value at a solve rate, linear between its equally spaced entries."""
    place = rate * (len(values) - 1)
    low = min(int(place), len(values) - 2)
    return values[low] + (place - low) * (values[low + 1] - values[low])


def hpt_soft(step, policy, alpha=(0.0, 1.0), beta=(1.0, 0.0), entropy=0.0, length=8192):
    """Every question's terms weighted by tables; the token mean counts questions with a weight."""
    loss, taught, trained = 0.0, [], []
    for q in questions(step):
        rate = solve_rate(step, q)
        if table(alpha, rate):
            trained += rollouts(step, q)
            loss = loss + total(
                [table(alpha, rate) * unclipped(step, policy, i) for i in rollouts(step, q)], length
            )
        if table(beta, rate):
            taught += [(table(beta, rate), i) for i in demonstrations(step, q)]
    if taught:
        parts = [weight * tokens(step, policy.logp, i) for weight, i in taught]
        loss = loss - torch.cat(parts).mean()
    trained += [i for _, i in taught]
    return loss - entropy * entropy_of(step, policy, trained)


def relift(step, policy, low=0.2, high=0.2):
    """Ma et al.: GRPO between the steps of imitation."""
    return grpo(step, policy, low, high)
