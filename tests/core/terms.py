"""One term of an algorithm by itself."""

import torch

from core import Algorithm, PolicyTokens, surrogate


def gradient(term, step, logp):
    """Return a term's gradient and loss of the step."""
    plan, policy = Algorithm("kl", (term,)).plan(step), PolicyTokens(logp)
    loss = surrogate(plan.coefficients(policy, step), policy, step)
    return torch.autograd.grad(loss, logp)[0], plan.losses(policy, step)[term.name]
