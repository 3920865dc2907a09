"""Rollouts: responses sampled from the policy as it is now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from training.prompts import CausalLM, Tokenizer
from training.seeds import derive_seed


class Sampled(NamedTuple):
    """One sampled response: its tokens, their log-probs where it was sampled, and whether it was cut off."""

    tokens: tuple[int, ...]
    logp: tuple[float, ...]
    truncated: bool


@dataclass(frozen=True)
class Sampling:
    """How to sample: logits over `temperature` (0 is greedy), the `top_p` nucleus, at most so many tokens.

    `max_tokens` is one number for all responses, or one for each.
    """

    temperature: float
    top_p: float
    max_tokens: int | tuple[int, ...]
    batch_size: int

    def limits(self, prompts: int) -> tuple[int, ...]:
        """Return the most tokens of each of so many responses."""
        if isinstance(self.max_tokens, int):
            return (self.max_tokens,) * prompts
        if len(self.max_tokens) != prompts:
            raise ValueError(
                f"Sampling.max_tokens holds {len(self.max_tokens)} limits for {prompts} prompts; give one "
                "number for all, or one for each"
            )
        return self.max_tokens


class Sampler(Protocol):
    """A rollout backend."""

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Sampled]:
        """Return one response to each prompt, in order; equal prompts get draws of their own."""
        ...


class _RecordLogp:
    """Logits processor that keeps each sampled token's log-prob and passes logits on unchanged."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature or 1.0
        self.logp: list[Tensor] = []
        self._pending: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        # Greedy decoding would take token 0 for the largest of NaNs, and say nothing.
        if scores.isnan().any():
            raise ArithmeticError("the policy's logits are not numbers, so nothing can be sampled from it")
        self._collect(input_ids)
        self._pending = (scores.float() / self.temperature).log_softmax(dim=-1)
        return scores

    def _collect(self, input_ids: Tensor) -> None:
        if self._pending is not None:
            self.logp.append(self._pending.gather(-1, input_ids[:, -1:]))

    def finish(self, sequences: Tensor) -> Tensor:
        """Return the log-probs of all new tokens, the last one included."""
        self._collect(sequences)
        return torch.cat(self.logp, dim=1)


@contextmanager
def _ready(model: CausalLM) -> Iterator[None]:
    """Put a model in evaluation mode and take away its own generation settings.

    `generate` falls back on them for whatever it isn't told, and a repetition penalty, say, would change the
    distribution that is sampled from.
    """
    from transformers import GenerationConfig

    was_training, own = model.training, model.generation_config
    model.eval()
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own
        model.train(was_training)


@dataclass
class TransformersSampler:
    """Samples with transformers' `generate`, in this process, from the model that is being trained."""

    model: CausalLM
    tokenizer: Tokenizer

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Sampled]:
        """Return one response to each prompt, in order."""
        # Prompts of like length share a batch: less padding.
        order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
        limits = sampling.limits(len(prompts))
        found: dict[int, Sampled] = {}
        devices = [self.model.device.index] if self.model.device.type == "cuda" else []
        with _ready(self.model), torch.random.fork_rng(devices=devices):
            for start in range(0, len(order), sampling.batch_size):
                chunk = order[start : start + sampling.batch_size]
                torch.manual_seed(derive_seed(seed, "batch", start))
                batch = self._generate(
                    [prompts[index] for index in chunk], [limits[index] for index in chunk], sampling
                )
                found.update(zip(chunk, batch, strict=True))
        return [found[index] for index in range(len(prompts))]

    def _generate(
        self, prompts: Sequence[Sequence[int]], limits: Sequence[int], sampling: Sampling
    ) -> list[Sampled]:
        from transformers import GenerationConfig, LogitsProcessorList

        width = max(len(prompt) for prompt in prompts)
        pad, eos = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        warp = {"temperature": sampling.temperature, "top_k": 0, "top_p": sampling.top_p}
        draws = sampling.temperature > 0
        recorder = _RecordLogp(sampling.temperature)
        with torch.no_grad():
            sequences = self.model.generate(
                ids.to(self.model.device),
                attention_mask=mask.to(self.model.device),
                generation_config=GenerationConfig(
                    do_sample=draws,
                    max_new_tokens=max(limits),
                    eos_token_id=eos,
                    pad_token_id=pad,
                    **(warp if draws else {}),
                ),
                logits_processor=LogitsProcessorList([recorder]),
            )
        logp = recorder.finish(sequences).tolist()
        return [
            _cut(tokens[:limit], scores, eos)
            for tokens, scores, limit in zip(sequences[:, width:].tolist(), logp, limits, strict=True)
        ]


def _cut(tokens: list[int], logp: list[float], eos: int) -> Sampled:
    """Return the response up to and including its first end-of-sequence token."""
    ended = eos in tokens
    length = tokens.index(eos) + 1 if ended else len(tokens)
    return Sampled(tuple(tokens[:length]), tuple(logp[:length]), truncated=not ended)
