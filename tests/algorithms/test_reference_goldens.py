"""Gradients that the papers' released code computed, where the present algorithms express its losses.

Cases of several micro-batches are left out: there the released code takes its means per micro-batch,
which this estimator never does. So are those with a KL term, those whose policy loss HPT does not have, and
those of algorithms that are not here.
"""

import json
from pathlib import Path

import pytest
import torch

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    AnyOf,
    BehaviorPolicy,
    ClipMask,
    Demonstrations,
    FixedLengthSum,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    PolicyTokens,
    Rollouts,
    Term,
    TokenBatch,
    TokenLikelihood,
    TokenMean,
    surrogate,
)

PATH = Path(__file__).parents[3] / "shared" / "goldens" / "reference.json"
CASES = json.loads(PATH.read_text()) if PATH.exists() else []
needs_goldens = pytest.mark.skipif(not CASES, reason=f"golden cases are missing: {PATH}")
MEMBERS = {"grpo": "rollouts_and_demonstrations", "grpo_split": "rollouts"}


def of_algorithm(name, **params):
    """Return the cases of one of the released code's algorithms with the given parameters."""
    return [
        pytest.param(case, id=case["name"])
        for case in CASES
        if case["params"]["algorithm"] == name
        and all(case["params"].get(key) in values for key, values in params.items())
    ]


def read(case):
    """Return a case's rows and the policy's log-probs and entropies on them."""
    inputs = case["inputs"]
    mask = torch.tensor(inputs["mask"]).bool()
    logp = torch.tensor(inputs["logprobs"], dtype=torch.float64, requires_grad=True)
    entropy = torch.tensor(inputs["entropy"], dtype=torch.float64) if inputs.get("entropy") else logp.detach()
    count = len(mask)
    step = TokenBatch(
        response_mask=mask,
        group=torch.tensor(inputs.get("group") or list(range(count))),
        is_demonstration=torch.tensor(inputs.get("is_demo") or [0] * count).bool(),
        reward=torch.tensor(inputs.get("rewards") or [1.0] * count, dtype=torch.float64),
        behavior_logp=torch.tensor(inputs.get("old_logprobs") or inputs["logprobs"], dtype=torch.float64),
    )
    return step, PolicyTokens(logp, entropy.clone().requires_grad_())


def assert_gradients(plan, case, step, policy):
    surrogate(plan.coefficients(policy, step), policy, step).backward()
    expected = torch.tensor(case["expected"]["grad_logprobs"], dtype=torch.float64)
    torch.testing.assert_close(policy.logp.grad, expected, rtol=1e-9, atol=1e-9)
    if case["params"].get("entropy_coeff"):
        expected = torch.tensor(case["expected"]["grad_entropy"], dtype=torch.float64)
        torch.testing.assert_close(policy.entropy.grad, expected, rtol=1e-9, atol=1e-12)


@needs_goldens
@pytest.mark.parametrize("case", of_algorithm("sft"))
def test_sft_has_the_released_gradient(case):
    step, policy = read(case)
    step = TokenBatch(step.response_mask, step.group, torch.ones_like(step.is_demonstration), step.reward)
    assert_gradients(ALGORITHMS["sft"]().plan(step), case, step, policy)


@needs_goldens
@pytest.mark.parametrize(
    "case",
    of_algorithm(
        "hpt", micro_batching=["none"], use_kl_loss=[False], loss_remove_clip=[True], use_std=[False]
    ),
)
def test_hpt_has_the_released_gradient(case):
    step, policy = read(case)
    # The released code's gate already acted on these rows: of an imitated question the demonstration is left.
    # Give each one failed rollout without tokens, so that our gate imitates it too; it adds no gradient.
    imitated = step.group[step.is_demonstration]
    count, width = len(imitated), step.response_mask.shape[1]
    failed = TokenBatch(
        response_mask=torch.zeros(count, width, dtype=torch.bool),
        group=imitated,
        is_demonstration=torch.zeros(count, dtype=torch.bool),
        reward=torch.zeros(count, dtype=torch.float64),
        behavior_logp=torch.zeros(count, width, dtype=torch.float64),
    )
    fields = ("response_mask", "group", "is_demonstration", "reward", "behavior_logp")
    whole = TokenBatch(**{name: torch.cat([getattr(step, name), getattr(failed, name)]) for name in fields})
    params = case["params"]
    algorithm = ALGORITHMS["hpt"](
        gate=0.0, sft_weight=params["sft_loss_coef"], entropy_weight=params["entropy_coeff"], length=width
    )
    plan = algorithm.plan(whole).rows(torch.arange(len(step.group)))
    assert_gradients(plan, case, step, policy)


@needs_goldens
@pytest.mark.parametrize("case", of_algorithm("policy_loss", adv_estimator=list(MEMBERS)))
def test_the_policy_loss_composed_of_our_parts_has_the_released_gradient(case):
    step, policy = read(case)
    params = case["params"]
    bound = params["cliprange"]
    estimator = PolicyGradient(
        KeepAll() if params["loss_remove_clip"] else ClipMask(bound, bound),
        BehaviorPolicy(),
        GroupRelative(MEMBERS[params["adv_estimator"]], params["use_std"], params["epsilon"]),
        TokenLikelihood(),
    )
    width = step.response_mask.shape[1]
    average = FixedLengthSum(width) if params["loss_remove_token_mean"] else TokenMean()
    rows = AnyOf((Rollouts(), Demonstrations()))
    plan = Algorithm("policy_loss", (Term("reinforce", estimator, rows, average),)).plan(step)
    assert_gradients(plan, case, step, policy)
