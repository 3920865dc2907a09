"""Gradients of the reshaped off-policy losses that the released code of LUFFY and HPT computed."""

import json

import pytest
import torch

from core import (
    Algorithm,
    BehaviorPolicy,
    BoundMask,
    ClipMask,
    CurrentPolicy,
    Demonstrations,
    FixedLengthSum,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    PolicyTokens,
    PowerPolicy,
    Rollouts,
    ShapedLikelihood,
    Term,
    TokenBatch,
    TokenLikelihood,
    Unit,
    surrogate,
)
from tests.core.goldens import FOLDER, matrix

PATH = FOLDER / "reference.json"
MEMBERS = {"grpo": "rollouts_and_demonstrations", "grpo_split": "rollouts"}


def expressible(case):
    """Say whether all that the loss of a case holds is a part here."""
    params, inputs = case["params"], case["inputs"]
    plain = params.get("on_policy_reshape") == "no_reshape" and not params.get("all_max_clip")
    return params["algorithm"] in ("on_off", "on_off_weight") and plain and not inputs.get("target_probs")


def found():
    if not PATH.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"golden cases are missing: {PATH}"))]
    known = [case for case in json.loads(PATH.read_text()) if expressible(case)]
    assert known, f"no case of {PATH} is wanted"
    return [pytest.param(case, id=case["name"]) for case in known]


def reshaped(params):
    """Return the summands of a demonstration's loss: denominator, likelihood and factor of each."""
    kind, factor = params["off_policy_reshape"], params["off_policy_reshape_weight"]
    power = params["off_policy_reshape_pow_exp"]
    if kind.startswith("p_div_p_"):
        return [(Unit(), ShapedLikelihood(float(kind.removeprefix("p_div_p_"))), 1.0)]
    return {
        "no_reshape": [(Unit(), TokenLikelihood(), 1.0)],
        "logp": [(CurrentPolicy(), TokenLikelihood(), factor)],
        "p_logp": [(Unit(), TokenLikelihood(), 1.0), (CurrentPolicy(), TokenLikelihood(), factor)],
        "square_root": [(PowerPolicy(0.5), TokenLikelihood(), 0.5)],
        "pow": [(PowerPolicy(power), TokenLikelihood(), power)],
    }[kind]


@pytest.mark.parametrize("case", found())
def test_parts_have_the_gradient_of_the_released_code(case):
    params, inputs = case["params"], case["inputs"]
    mask = torch.tensor(inputs["mask"]).bool()
    step = TokenBatch(
        response_mask=mask,
        group=torch.tensor(inputs["group"]),
        is_demonstration=torch.tensor(inputs["is_demo"]).bool(),
        reward=matrix(case, "rewards"),
        behavior_logp=matrix(case, "old_logprobs"),
    )
    tokens = mask.shape[1] if params["loss_remove_token_mean"] else int(mask.sum())
    average = FixedLengthSum(tokens)
    bound = params["cliprange"]
    clip = ClipMask(bound, max(bound, params["clip_upper_bound"] - 1.0))
    low, high = params["off_min_clip"], params["off_max_clip"]
    band = KeepAll() if low is None and high is None else BoundMask(low, high)
    credit = GroupRelative(MEMBERS[params["adv_estimator"]], params["use_std"], params["epsilon"])
    on = PolicyGradient(
        KeepAll() if params["loss_remove_clip"] else clip, BehaviorPolicy(), credit, TokenLikelihood()
    )
    terms = [Term("on", on, Rollouts(), average)]
    weight = params.get("off_loss_coef", 1.0)
    for position, (denominator, likelihood, factor) in enumerate(reshaped(params)):
        off = PolicyGradient(band, denominator, credit, likelihood)
        terms.append(Term(f"off{position}", off, Demonstrations(), average, weight * factor))
    logp = matrix(case, "logprobs").requires_grad_()
    plan = Algorithm("golden", tuple(terms)).plan(step)
    policy = PolicyTokens(logp)
    surrogate(plan.coefficients(policy, step), policy, step).backward()
    torch.testing.assert_close(
        logp.grad, torch.tensor(case["expected"]["grad_logprobs"], dtype=torch.float64), rtol=1e-9, atol=1e-9
    )
