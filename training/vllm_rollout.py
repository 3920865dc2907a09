"""Rollouts by vLLM, in this process, from the weights as they are trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.prompts import Tokenizer
from training.config import Precision, RolloutConfig
from training.model_config import AS_PUBLISHED, resolved_overrides
from training.ranks import Ranks, join_ranks
from training.rollout import LivePolicy, Sampled, Sampling
from training.seeds import derive_seed
from training.vllm_build import EngineSpec
from training.vllm_check import check_weights
from training.vllm_config import check_temperature
from training.vllm_engine import Request, VllmEngine
from training.vllm_process import watched


@dataclass(eq=False)
class VllmSampler:
    """Samples with vLLM from the policy that it follows; every rank has an engine and asks it for a share.

    The engine is built when it is first needed, and anew after a failure. Its weights are the policy's: they
    are handed over whenever the policy has changed, and what vLLM then says is compared with what the policy
    itself does. A prompt's draws depend on the seed and its place alone, not on how many ranks there are; the
    last bits of log-probs depend on what is computed beside it, as those of any batch do.

    Args:
        path: Directory or hub name of the model that the policy started from, for its architecture.
        tokenizer: Its tokenizer.
        config: Memory, time, the temperature of rollouts, and how many responses are sampled at once: a
            call's own batch size changes nothing.
        precision: As the policy's.
        overrides: Entries of the model's configuration that the policy's was changed in.
        max_tokens: Most tokens of a prompt and its response. None: those of the rollouts' configuration; give
            more where evaluation asks for longer ones.
    """

    path: str
    tokenizer: Tokenizer
    config: RolloutConfig
    precision: Precision = "fp32"
    overrides: Mapping[str, Any] = field(default_factory=lambda: AS_PUBLISHED)
    max_tokens: int | None = None
    _ranks: Ranks = field(init=False, default_factory=join_ranks)
    _engine: VllmEngine | None = field(init=False, default=None)
    _policy: LivePolicy | None = field(init=False, default=None)
    _version: int | None = field(init=False, default=None)

    @property
    def longest(self) -> int:
        """Most tokens of a prompt and its response together."""
        return self.max_tokens or self.config.max_prompt_tokens + self.config.max_response_tokens

    def follow(self, policy: LivePolicy | None) -> None:
        """Sample from this policy from now on, as it is whenever `sample` is called; None: as it was last."""
        if policy is not self._policy:
            self._policy, self._version = policy, None

    def refresh(self) -> None:
        """Hand over the policy's weights as they are now, if they have changed, and check that they arrived.

        Raises:
            StaleWeightsError: vLLM's log-probs are not the policy's.
            VllmError: vLLM could not start, or failed.
        """
        if self._policy is None:
            if self._engine is None:
                raise RuntimeError("VllmSampler has no policy to sample from; call follow(policy) first")
            return
        if self._engine is not None and self._version == self._policy.version:
            return
        with self._running() as engine:
            version, self._version = self._policy.version, None
            engine.load(self._policy.weights())
            check_weights(engine, self._policy, self.config.temperature)
            self._version = version

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Sampled]:
        """Return one response to each prompt, in order; equal prompts get draws of their own.

        Raises:
            ValueError: A prompt and its response may become longer than the engine was built for, or vLLM has
                no such temperature.
            StaleWeightsError: vLLM's log-probs are not the policy's.
            VllmError: vLLM could not start, or failed, or took too long.
        """
        requests = self._requests(prompts, sampling, seed)
        self.refresh()
        with self._running() as engine:
            return self._ranks.spread(
                requests,
                lambda share: engine.generate(
                    share, sampling.temperature, sampling.top_p, self.tokenizer.eos_token_id
                ),
            )

    def close(self) -> None:
        """Free the engine and all its memory; the next call would build it anew."""
        engine, self._engine, self._version = self._engine, None, None
        if engine is not None:
            engine.close()

    def _requests(self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int) -> list[Request]:
        check_temperature("temperature", sampling.temperature)
        limits = sampling.limits(len(prompts))
        for prompt, limit in zip(prompts, limits, strict=True):
            if len(prompt) + limit > self.longest:
                raise ValueError(
                    f"a prompt of {len(prompt)} tokens and a response of up to {limit} are more than the "
                    f"{self.longest} that vLLM was built for; raise rollout.max_prompt_tokens or "
                    "rollout.max_response_tokens, or sample shorter responses"
                )
        return [
            Request(tuple(prompt), limit, derive_seed(seed, "prompt", index))
            for index, (prompt, limit) in enumerate(zip(prompts, limits, strict=True))
        ]

    @contextmanager
    def _running(self) -> Iterator[VllmEngine]:
        """Give the engine for one call; one that failed is thrown away, with what it may still be doing."""
        try:
            with watched(self.config.vllm.timeout_seconds):
                if self._engine is None:
                    overrides = resolved_overrides(self.path, self.overrides)
                    spec = EngineSpec(self.path, self.precision, overrides, self.longest, self.config)
                    self._engine = VllmEngine(spec)
                yield self._engine
        except BaseException:
            self.close()
            raise
