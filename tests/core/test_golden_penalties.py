"""KL penalties, entropy bonuses and critic losses of TRL's and verl's own code.

A case's loss is that of its policy and the penalty's; the policy's is written out here and taken off.
"""

import pytest
import torch

from core import (
    Algorithm,
    EntropyBonus,
    FixedLengthMean,
    KlPenalty,
    NonEmpty,
    PolicyTokens,
    Rollouts,
    SequenceLikelihood,
    SequenceMean,
    TokenLikelihood,
    TokenMean,
    ValueLoss,
    surrogate,
)
from tests.core.goldens import assert_close, cases, matrix, policy, rows

LOSSES = {"grpo", "bnpo", "dr_grpo", "dapo"}
TYPES = {"low_var_kl": "k3"}


def ours(term, step, spoken):
    """Return a term's gradient by the log-probs, and its loss."""
    plan = Algorithm("penalty", (term,)).plan(step)
    loss = surrogate(plan.coefficients(spoken, step), spoken, step)
    return torch.autograd.grad(loss, spoken.logp)[0], plan.losses(spoken, step)[term.name]


def assert_penalty(term, case, step, remaining):
    """Compare the term with what the policy's loss leaves of the case's."""
    spoken = PolicyTokens(policy(case).logp, matrix(case, "entropies"))
    loss = remaining(spoken.logp)
    rest = torch.autograd.grad(loss, spoken.logp)[0]
    found, value = ours(term, step, spoken)
    assert value.abs() > 1e-6
    assert_close(found + rest, case["expected"]["grad_logprobs"])
    assert_close(value + loss.detach(), case["expected"]["loss"])


def with_penalty(case):
    params = case["params"]
    return bool(params.get("use_kl_loss")) and params["loss_mode"] == "vanilla"


def verls_policy_loss(case, step):
    """Return the dual-clipped loss, mean over tokens."""
    params, advantage = case["params"], matrix(case, "advantages")
    assert params["loss_agg_mode"] == "token-mean"

    def dual_clipped(logp):
        ratio = (logp - step.behavior_logp).clamp(-20, 20).exp()
        bounded = ratio.clamp(1 - params["clip_ratio_low"], 1 + params["clip_ratio_high"])
        gain = torch.minimum(ratio * advantage, bounded * advantage)
        gain = torch.where(advantage < 0, gain.maximum(params["clip_ratio_c"] * advantage), gain)
        return -gain[step.response_mask].mean()

    return dual_clipped


@pytest.mark.parametrize("case", cases("verl", with_penalty))
def test_the_penalty_is_that_of_verl(case):
    params, step = case["params"], rows(case)
    kind = TYPES.get(params["kl_loss_type"], params["kl_loss_type"])
    limit = 10.0 if kind.startswith("k3") else None
    term = KlPenalty(params["kl_loss_coef"], Rollouts(), TokenMean(), kind, limit=limit)
    assert_penalty(term, case, step, verls_policy_loss(case, step))


def anchored(case):
    return (case["params"].get("beta") or 0.0) > 0 and case["params"].get("loss_type") in LOSSES


def trls_policy_loss(case, step):
    """Return the clipped loss, averaged as the case's loss type says."""
    params, advantage = case["params"], matrix(case, "advantages")[:, None]
    mask, by_row = step.response_mask, params["importance_sampling_level"] == "sequence"
    length = mask.sum(dim=1).clamp(min=1)

    def clipped(logp):
        log_ratio = torch.where(mask, logp - step.behavior_logp.detach(), 0.0)
        if by_row:
            log_ratio = (log_ratio.sum(dim=1) / length)[:, None].expand_as(logp)
        ratio = log_ratio.exp()
        bounded = ratio.clamp(1 - params["epsilon_low"], 1 + params["epsilon_high"])
        gain = torch.where(mask, torch.minimum(ratio * advantage, bounded * advantage), 0.0)
        return -{
            "grpo": (gain.sum(dim=1) / length).mean(),
            "bnpo": gain.sum() / mask.sum(),
            "dapo": gain.sum() / mask.sum(),
            "dr_grpo": gain.sum() / (len(gain) * params["max_completion_length"]),
        }[params["loss_type"]]

    return clipped


@pytest.mark.parametrize("case", cases("trl", anchored))
def test_the_penalty_is_that_of_trl(case):
    params, step = case["params"], rows(case)
    mean = {
        "grpo": SequenceMean(),
        "bnpo": TokenMean(),
        "dapo": TokenMean(),
        "dr_grpo": FixedLengthMean(params["max_completion_length"]),
    }[params["loss_type"]]
    assert params["gradient_accumulation_steps"] == 1
    by_row = params["importance_sampling_level"] == "sequence"
    weighed = SequenceLikelihood() if by_row else TokenLikelihood()
    ratio = weighed if params["use_bias_correction_kl"] else None
    term = KlPenalty(params["beta"], Rollouts(), mean, "k3", ratio=ratio)
    assert_penalty(term, case, step, trls_policy_loss(case, step))


@pytest.mark.parametrize("case", cases("trl", lambda case: case["params"].get("entropy_coef")))
def test_the_entropy_bonus_is_that_of_trl(case):
    step = rows(case)
    term = EntropyBonus(case["params"]["entropy_coef"], Rollouts(), TokenMean())
    assert_penalty(term, case, step, trls_policy_loss(case, step))


@pytest.mark.parametrize("case", cases("verl", lambda case: case["params"].get("entropy_coeff")))
def test_the_entropy_bonus_is_that_of_verl(case):
    step = rows(case)
    term = EntropyBonus(case["params"]["entropy_coeff"], Rollouts(), TokenMean())
    assert_penalty(term, case, step, verls_policy_loss(case, step))


class VerlSequenceMean:
    """Mean over rows of token means, with verl's 1e-8 in each row's divisor."""

    def __call__(self, selected, step):
        tokens = step.response_mask.sum(dim=1).double() + 1e-8
        return torch.where(selected, 1 / (selected.sum() * tokens), 0.0)


class Given:
    """Returns that were computed elsewhere."""

    def __init__(self, target):
        self.target = target

    def returns(self, step):
        return torch.where(step.response_mask, self.target, 0.0)


@pytest.mark.parametrize("case", cases("verl", lambda case: case["algorithm"] == "value_loss"))
def test_the_critics_loss_is_that_of_verl(case):
    params = case["params"]
    value = matrix(case, "vpreds").requires_grad_()
    case["inputs"]["logprobs"] = case["inputs"]["vpreds"]
    step, spoken = rows(case), PolicyTokens(torch.zeros_like(value).detach(), value=value)
    mean = {"token-mean": TokenMean(), "seq-mean-token-mean": VerlSequenceMean()}[params["loss_agg_mode"]]
    returns = Given(matrix(case, "returns"))
    term = ValueLoss(returns, 1.0, NonEmpty(Rollouts()), mean, clip=params["cliprange_value"])
    plan = term.plan(step)
    loss = surrogate((term.coefficients(plan, spoken, step),), spoken, step)
    assert_close(torch.autograd.grad(loss, value)[0], case["expected"]["grad_vpreds"])
    assert_close(-term.objective(plan, spoken, step), case["expected"]["loss"])
