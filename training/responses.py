"""Responses of a step, and how they become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core import TokenBatch


@dataclass(frozen=True)
class Response:
    """One response to one question.

    Args:
        question: Id of the question.
        prompt: Token ids of the prompt.
        tokens: Token ids of the response, its end-of-sequence token included.
        is_demonstration: Given by the teacher.
        reward: 1 for a solved question.
        sampler_logp: Log-probs that the rollout engine reported, one a token, 0 for those it was given; empty
            for demonstrations.
        prefix_tokens: How many of a rollout's tokens were not sampled but given, from the demonstration.
        greedy_reward: Reward of the policy's greedy response to the same question, where it was asked for.
    """

    question: int
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    is_demonstration: bool
    reward: float
    sampler_logp: tuple[float, ...] = ()
    prefix_tokens: int = 0
    greedy_reward: float | None = None

    def __len__(self) -> int:
        return len(self.prompt) + len(self.tokens)


@dataclass(frozen=True)
class ModelInputs:
    """Rows as a causal language model reads them: prompts padded on the left, responses on the right.

    Args:
        input_ids: Prompts and responses.
        attention_mask: Which positions hold tokens.
        position_ids: Positions counted from each row's first token.
        response_tokens: The responses alone; 0 where there is no token.
        response_mask: Which of those are tokens.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    response_tokens: Tensor
    response_mask: Tensor


def _pad(sequences: Sequence[Sequence[int]], left: bool) -> tuple[Tensor, Tensor]:
    width = max(len(sequence) for sequence in sequences)
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    mask = torch.zeros(len(sequences), width, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        place = slice(width - len(sequence), width) if left else slice(0, len(sequence))
        ids[row, place] = torch.tensor(sequence, dtype=torch.long)
        mask[row, place] = True
    return ids, mask


def collate(rows: Sequence[Response], device: torch.device) -> ModelInputs:
    """Return the rows as model inputs, padded to the longest prompt and the longest response."""
    prompts, prompt_mask = _pad([row.prompt for row in rows], left=True)
    tokens, response_mask = _pad([row.tokens for row in rows], left=False)
    attention = torch.cat([prompt_mask, response_mask], dim=1)
    return ModelInputs(
        input_ids=torch.cat([prompts, tokens], dim=1).to(device),
        attention_mask=attention.long().to(device),
        position_ids=(attention.long().cumsum(dim=1) - 1).clamp(min=0).to(device),
        response_tokens=tokens.to(device),
        response_mask=response_mask.to(device),
    )


def token_batch(rows: Sequence[Response], device: torch.device) -> TokenBatch:
    """Return the rows as the estimator's plan sees them; counts and rewards in float64."""
    _, mask = _pad([row.tokens for row in rows], left=False)
    sampled, given = torch.zeros(mask.shape), torch.zeros_like(mask)
    for index, row in enumerate(rows):
        sampled[index, : len(row.sampler_logp)] = torch.tensor(row.sampler_logp)
        given[index, : row.prefix_tokens] = True
    return TokenBatch(
        response_mask=mask.to(device),
        group=torch.tensor([row.question for row in rows], device=device),
        is_demonstration=torch.tensor([row.is_demonstration for row in rows], device=device),
        reward=torch.tensor([row.reward for row in rows], dtype=torch.float64, device=device),
        sampler_logp=sampled.to(device),
        greedy_reward=_greedy_rewards(rows, device),
        prefix_mask=given.to(device),
    )


def _greedy_rewards(rows: Sequence[Response], device: torch.device) -> Tensor | None:
    """Return each row's greedy reward in float64; None unless every row has one."""
    rewards = [row.greedy_reward for row in rows if row.greedy_reward is not None]
    if len(rewards) < len(rows):
        return None
    return torch.tensor(rewards, dtype=torch.float64, device=device)
