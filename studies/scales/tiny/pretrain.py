"""Pretraining of a base policy: a small model that learns arithmetic from working full of mistakes.

Mistakes, not early stopping, make a policy that post-training can sharpen: one stopped early collapses under
reinforcement learning within a few steps. Their rates grow with the tier, so that the base policy solves
questions of the first tier mostly, of the last one never.
"""

from __future__ import annotations

import logging
import math
import random
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from core.prompts import Tokenizer, render_prompt
from studies.scales.tiny.tokenizer import VOCABULARY
from studies.scales.tiny.world import Mistakes, Operation, draw_problem, worked_solution
from training.tokens import CausalLM, encode

logger = logging.getLogger(__name__)

# Operation, digits, share of the pretraining rows, and the mistakes in their working.
MIXTURE: tuple[tuple[Operation, int, int, Mistakes], ...] = (
    ("+", 2, 2, Mistakes(slip=0.08, lapse=0.10)),
    ("+", 3, 2, Mistakes(slip=0.08, lapse=0.30)),
    ("+", 4, 2, Mistakes(slip=0.08, lapse=0.45, misread=0.50)),
    ("+", 5, 2, Mistakes(slip=0.08, lapse=0.50, misread=0.97)),
    ("-", 2, 1, Mistakes(slip=0.08, lapse=0.05)),
    ("-", 3, 1, Mistakes(slip=0.08, lapse=0.15)),
)
STEPS, BATCH, PEAK_RATE, WARMUP = 1500, 128, 3e-3, 50


SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    # Heads of 32: vLLM's attention on CPUs knows no smaller ones.
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": VOCABULARY.index("<eos>"),
    "pad_token_id": VOCABULARY.index("<pad>"),
}


def new_qwen2(seed: int) -> CausalLM:
    """Return the untrained policy in Qwen2's architecture: 0.13 M parameters."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    return Qwen2ForCausalLM(Qwen2Config(**SIZES))


def new_llama(seed: int) -> CausalLM:
    """Return the untrained policy in Llama's architecture: no biases in attention, else of the same sizes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**SIZES))


def learning_rate(step: int) -> float:
    """Return the rate of a step: linear warm-up, then a cosine down to a twentieth of the peak."""
    cosine = 0.5 * (1.0 + math.cos(math.pi * step / STEPS))
    return PEAK_RATE * min(1.0, (step + 1) / WARMUP) * (0.95 * cosine + 0.05)


def pretrain(policy: CausalLM, tokenizer: Tokenizer, seed: int) -> CausalLM:
    """Return the policy, pretrained; the same seed gives the same weights on the same kind of machine."""
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(policy.parameters(), weight_decay=0.01, betas=(0.9, 0.98))
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        prompts, responses = zip(*(_row(tokenizer, rng) for _ in range(BATCH)), strict=True)
        loss = _loss(policy, prompts, responses)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            logger.info("pretraining step %d/%d, loss %.3f", step + 1, STEPS, loss.item())
    return policy


def _row(tokenizer: Tokenizer, rng: random.Random) -> tuple[list[int], list[int]]:
    operation, digits, _, mistakes = rng.choices(MIXTURE, [share for _, _, share, _ in MIXTURE])[0]
    problem = draw_problem(rng, operation, digits)
    prompt = render_prompt(tokenizer, [{"role": "user", "content": problem.text}], None)
    response = encode(tokenizer, worked_solution(problem, mistakes, rng))
    return encode(tokenizer, prompt), [*response, tokenizer.eos_token_id]


def _loss(policy: CausalLM, prompts: tuple[list[int], ...], responses: tuple[list[int], ...]) -> torch.Tensor:
    """Return the mean over response tokens of their negative log-likelihood."""
    rows = [torch.tensor(prompt + response) for prompt, response in zip(prompts, responses, strict=True)]
    labels = [
        torch.tensor([-100] * len(prompt) + response)
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    ids = pad_sequence(rows, batch_first=True, padding_value=VOCABULARY.index("<pad>"))
    targets = pad_sequence(labels, batch_first=True, padding_value=-100)
    return policy(input_ids=ids, attention_mask=(ids != 0).long(), labels=targets).loss  # type: ignore[no-any-return]
