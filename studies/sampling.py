"""What answers prompts in a run: its rollout backend, in training and in evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.prompts import Tokenizer, render_prompt
from evaluation.config import EvalConfig
from evaluation.policy import Generated
from studies.record import RunConfig
from training.answers import response_text
from training.leading import Samples
from training.policy import load_model
from training.ranks import Ranks
from training.rollout import Sampler, Sampling
from training.tokens import CausalLM, encode
from training.transformers_rollout import TransformersSampler
from training.vllm_rollout import VllmSampler

LONGEST_PROMPT = 4
"""Longest prompt of an evaluation that vLLM has room for, in the longest ones of training."""


def make_sampler(run: RunConfig, policy: str, model: CausalLM, tokenizer: Tokenizer, ranks: Ranks) -> Sampler:
    """Return a run's rollout backend.

    Args:
        run: Names it.
        policy: Where its policy lies, or its name on the hub.
        model: The policy, which will be trained.
        tokenizer: The policy's.
        ranks: The processes of the run.
    """
    if run.train.rollout.backend == "vllm":
        return _kept_vllm_sampler(run, policy, model, tokenizer)
    _close_kept()
    engine = run.train.engine
    # Ranks sample different numbers of tokens, and shards can only be gathered by all at once.
    is_copy = engine.zero_stage == 3 and ranks.size > 1
    if is_copy:
        model = load_model(policy, engine.precision, overrides=run.policy_config)
    return TransformersSampler(model, tokenizer, ranks, is_copy)


_kept: dict[Any, VllmSampler] = {}


def _kept_vllm_sampler(run: RunConfig, policy: str, model: CausalLM, tokenizer: Tokenizer) -> VllmSampler:
    """Return a sampler with vLLM's engine: that of the run before if it fits, as building takes long."""
    rollout, precision = run.train.rollout, run.train.engine.precision
    answer = max(rollout.max_response_tokens, run.evaluation.max_response_tokens)
    longest = min(LONGEST_PROMPT * rollout.max_prompt_tokens + answer, model.config.max_position_embeddings)
    key = (policy, precision, json.dumps(dict(run.policy_config)), rollout, longest)
    if key not in _kept:
        _close_kept()
        _kept[key] = VllmSampler(policy, tokenizer, rollout, precision, run.policy_config, longest)
    return _kept[key]


def _close_kept() -> None:
    for sampler in _kept.values():
        sampler.close()
    _kept.clear()


@dataclass(frozen=True)
class PolicyUnderTest:
    """A policy in memory, as evaluation asks it."""

    sampler: Samples
    tokenizer: Tokenizer
    template: str | None

    def render(self, problem: str) -> str:
        """Return the prompt of a problem, made as in training."""
        return render_prompt(self.tokenizer, [{"role": "user", "content": problem}], self.template)

    def generate(self, prompts: Sequence[str], settings: EvalConfig, seed: int) -> list[Generated]:
        """Return one answer to each prompt."""
        sampling = Sampling(
            settings.temperature, settings.top_p, settings.max_response_tokens, settings.batch_size
        )
        ids = [encode(self.tokenizer, prompt) for prompt in prompts]
        return [
            Generated(response_text(self.tokenizer, sampled.tokens), len(sampled.tokens), sampled.truncated)
            for sampled in self.sampler.sample(ids, sampling, seed)
        ]
