"""Rows and cases that the sample files are made of."""

import torch

ROWS, TOKENS = 6, 5


def decimals(values):
    """Round to four of them: the file then says exactly, and shortly, what was computed with."""
    return torch.tensor([round(value, 4) for value in values.flatten().tolist()]).reshape(values.shape)


class World:
    """Rows that a case is made of: ragged, with a hole, an empty row, groups of two sizes, and garbage."""

    def __init__(self, seed):
        random = torch.Generator().manual_seed(seed)

        def draw(*shape, scale=1.0, kind=torch.randn):
            return kind(*shape, generator=random, dtype=torch.float64) * scale

        self.mask = (torch.arange(TOKENS) < torch.tensor([5, 4, 5, 1, 5, 0])[:, None]).double()
        self.mask[0, 1] = 0.0
        self.logp = decimals(-draw(ROWS, TOKENS, scale=3.0, kind=torch.rand) - 0.01)
        self.old = decimals((self.logp + draw(ROWS, TOKENS, scale=0.8)).clamp(max=-0.001))
        self.ref = decimals((self.logp + draw(ROWS, TOKENS, scale=0.4)).clamp(max=-0.001))
        self.logp[self.mask == 0] = -7.5
        self.rewards, self.values = decimals(draw(ROWS)), decimals(draw(ROWS, TOKENS))
        self.rewards[-1] = 0.0  # a row without tokens ends nowhere, and is given nothing
        self.group = torch.tensor([3, 3, 8, 3, 8, 8])
        self.uneven = torch.tensor([3, 3, 8, 3, 5, 8])
        self.returns, self.predicted = decimals(draw(ROWS, TOKENS)), decimals(draw(ROWS, TOKENS))
        self.sampler = decimals((self.old + draw(ROWS, TOKENS, scale=0.3)).clamp(max=-0.001))
        self.entropy = decimals(draw(ROWS, TOKENS, scale=2.0, kind=torch.rand))
        self.weights = decimals(draw(ROWS, TOKENS, scale=2.0, kind=torch.rand))
        self.squared = decimals(draw(ROWS, TOKENS, kind=torch.rand))
        self.by_function = decimals(draw(ROWS, 2))

    def inputs(self, **others):
        tensors = {
            "logprobs": self.logp,
            "old_logprobs": self.old,
            "ref_logprobs": self.ref,
            "mask": self.mask.int(),
            "rewards": self.rewards,
            "group": self.group,
            **others,
        }
        return {name: None if tensor is None else tensor.tolist() for name, tensor in tensors.items()}


def differentiated(loss_of, leaf):
    """Return a loss and its gradient by the leaf."""
    leaf = leaf.clone().requires_grad_()
    loss = loss_of(leaf)
    loss.backward()
    return loss.item(), leaf.grad.tolist()


def case(name, algorithm, params, inputs, expected, tags=("core",)):
    source = "tests/studies/conforming: written out with autograd"
    return {"name": name, "source": source, "algorithm": algorithm, "tags": list(tags), "params": params,
            "inputs": inputs, "expected": expected}  # fmt: skip


def policy_case(name, params, world, loss, advantages, returns=None, group=None, tags=("core",)):
    value, gradient = differentiated(
        lambda logp: loss(params, logp, world.old, world.ref, world.mask, advantages), world.logp
    )
    expected = {"advantages": advantages.tolist(), "loss": value, "grad_logprobs": gradient}
    if returns is not None:
        expected["returns"] = returns.tolist()
    inputs = world.inputs(advantages=advantages, group=world.group if group is None else group)
    algorithm = params.get("adv_estimator") or params.get("loss_type") or params.get("loss_mode", "rloo")
    return case(name, algorithm, params, inputs, expected, tags)


def extended_case(name, params, world, loss, advantages, **inputs):
    """Return a case whose loss reads the whole world; advantages are expected where rewards are given."""
    value, gradient = differentiated(lambda logp: loss(params, world, logp, advantages), world.logp)
    computed = {"rewards", "rewards_per_func"} & set(inputs) or "adv_estimator" in params
    expected = {"advantages": advantages.tolist() if computed else None, "loss": value,
                "grad_logprobs": gradient}  # fmt: skip
    inputs = world.inputs(advantages=advantages, **({} if computed else {"rewards": None}), **inputs)
    return case(name, name.partition("_")[2], params, inputs, expected, ("extended",))
