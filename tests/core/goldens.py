"""Golden cases that TRL's and verl's own code computed, as rows."""

import json
from pathlib import Path

import pytest
import torch

from core import PolicyTokens, TokenBatch

FOLDER = Path(__file__).parents[3] / "shared" / "goldens"


def cases(peer, wanted):
    """Return the peer's cases that `wanted` takes; one skipped case where the files are missing."""
    path = FOLDER / f"{peer}.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"golden cases are missing: {path}"))]
    found = [case for case in json.loads(path.read_text())["cases"] if wanted(case)]
    assert found, f"no case of {path} is wanted"
    return [pytest.param(case, id=case["name"]) for case in found]


def matrix(case, name):
    """Return an input as a float64 tensor; None where the case lacks it."""
    value = case["inputs"].get(name)
    return None if value is None else torch.tensor(value, dtype=torch.float64)


def rows(case):
    """Return a case's rows; on-policy where it has no old log-probs."""
    mask = torch.tensor(case["inputs"]["mask"]).bool()
    reward = matrix(case, "rewards")
    old, new = matrix(case, "old_logprobs"), matrix(case, "logprobs")
    return TokenBatch(
        response_mask=mask,
        group=torch.tensor(case["inputs"].get("group") or [0] * len(mask)),
        is_demonstration=torch.zeros(len(mask), dtype=torch.bool),
        reward=torch.zeros(len(mask), dtype=torch.float64) if reward is None else reward,
        behavior_logp=new if old is None else old,
        reference_logp=matrix(case, "ref_logprobs"),
        value=matrix(case, "values"),
        token_reward=matrix(case, "token_rewards"),
        greedy_reward=matrix(case, "reward_baselines"),
    )


def policy(case):
    """Return the policy's log-probs, to be differentiated by."""
    return PolicyTokens(matrix(case, "logprobs").requires_grad_())


def assert_close(actual, expected):
    """Compare at the tolerance that the cases were made for."""
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
