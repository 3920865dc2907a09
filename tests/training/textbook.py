"""Losses as the papers write them, one row at a time, to be differentiated as they stand."""

import torch

from algorithms import dr_grpo, grpo, hpt, sft
from tests.training.rows import ragged_rows, row_logits, row_logp

ROWS = ragged_rows()
ROLLOUTS = [row for row in ROWS if not row.is_demonstration]
DEMONSTRATIONS = [row for row in ROWS if row.is_demonstration]
LENGTH = 16


def advantage(row, normalize_std):
    """Return (r - mean) / (std + 1e-6) over the rollouts of the row's question."""
    rewards = torch.tensor([r.reward for r in ROLLOUTS if r.question == row.question], dtype=torch.float64)
    std = rewards.std() + 1e-6 if normalize_std else 1.0
    return (row.reward - rewards.mean()) / std


def solved(question):
    return any(row.reward == 1.0 for row in ROLLOUTS if row.question == question)


def textbook_grpo(model, old):
    """Return −mean over rollouts of the token mean of min(ρA, clip(ρ, 0.8, 1.2)A)."""
    total = 0.0
    for row in ROLLOUTS:
        ratio = (row_logp(model, row) - old[row]).exp()
        credit = advantage(row, normalize_std=True)
        total += torch.minimum(ratio * credit, ratio.clamp(0.8, 1.2) * credit).mean()
    return -total / len(ROLLOUTS)


def textbook_dr_grpo(model, old):
    """Return −mean over rollouts of the token sum, over LENGTH, with advantages r − mean."""
    total = 0.0
    for row in ROLLOUTS:
        ratio = (row_logp(model, row) - old[row]).exp()
        credit = advantage(row, normalize_std=False)
        total += torch.minimum(ratio * credit, ratio.clamp(0.8, 1.2) * credit).sum()
    return -total / (LENGTH * len(ROLLOUTS))


def textbook_sft(model, old):
    """Return the cross-entropy of all demonstration tokens."""
    return -torch.cat([row_logp(model, row) for row in DEMONSTRATIONS]).mean()


def textbook_hpt(model, old):
    """Return HPT's loss as its code has it: unclipped sum over LENGTH, 0.3 cross-entropy, 0.01 entropy."""
    reinforced = [row for row in ROLLOUTS if solved(row.question)]
    imitated = [row for row in DEMONSTRATIONS if not solved(row.question)]
    total = 0.0
    for row in reinforced:
        ratio = (row_logp(model, row) - old[row]).exp()
        total += (ratio * advantage(row, normalize_std=False)).sum() / LENGTH
    total += 0.3 * torch.cat([row_logp(model, row) for row in imitated]).mean()
    log_softmax = torch.cat([row_logits(model, row).log_softmax(-1) for row in reinforced + imitated])
    return -total - 0.01 * -(log_softmax.exp() * log_softmax).sum(-1).mean()


CASES = {
    "grpo": (grpo(), textbook_grpo),
    "dr_grpo": (dr_grpo(length=LENGTH), textbook_dr_grpo),
    "sft": (sft(), textbook_sft),
    "hpt": (hpt(sft_weight=0.3, entropy_weight=0.01, length=LENGTH), textbook_hpt),
}
