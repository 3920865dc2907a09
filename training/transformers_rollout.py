"""Rollouts by transformers' `generate`, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor

from core.prompts import Tokenizer
from training.ranks import Ranks
from training.rollout import LivePolicy, Sampled, Sampling
from training.seeds import derive_seed
from training.tokens import CausalLM


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
    """Samples with transformers' `generate`, in this process.

    Args:
        model: What is sampled from: the very model that is trained, or a copy of it.
        tokenizer: Its tokenizer.
        ranks: The processes that share the work; whole batches, so that what is sampled does not depend on
            how many there are.
        is_copy: Whether the model is a copy, which has to be kept equal to the policy that is followed.
    """

    model: CausalLM
    tokenizer: Tokenizer
    ranks: Ranks = field(default_factory=Ranks)
    is_copy: bool = False
    _policy: LivePolicy | None = None
    _version: int | None = None

    def follow(self, policy: LivePolicy | None) -> None:
        """Keep a copy equal to this policy from now on; None: as it was last."""
        self._policy, self._version = policy, None

    def refresh(self) -> None:
        """Copy the weights of the policy that is followed, if they have changed."""
        if not self.is_copy or self._policy is None or self._policy.version == self._version:
            return
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, weight in self._policy.weights():
                own[name].copy_(weight)
        self._version = self._policy.version

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Sampled]:
        """Return one response to each prompt, in order."""
        self.refresh()
        # Prompts of like length share a batch: less padding.
        order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index))
        limits = sampling.limits(len(prompts))
        mine: dict[int, Sampled] = {}
        starts = range(0, len(order), sampling.batch_size)
        devices = [self.model.device.index] if self.model.device.type == "cuda" else []
        with _ready(self.model), torch.random.fork_rng(devices=devices):
            for start in starts[self.ranks.rank :: self.ranks.size]:
                chunk = order[start : start + sampling.batch_size]
                torch.manual_seed(derive_seed(seed, "batch", start))
                batch = self._generate(
                    [prompts[index] for index in chunk], [limits[index] for index in chunk], sampling
                )
                mine.update(zip(chunk, batch, strict=True))
        found = dict(chain.from_iterable(share.items() for share in self.ranks.gather(mine)))
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
