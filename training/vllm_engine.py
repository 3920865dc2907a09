"""vLLM's engine in this process: given weights, asked for responses, closed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.memory import free_memory
from training.rollout import Sampled
from training.vllm_build import EngineSpec, VllmError, advice, build
from training.vllm_process import own_draws


class Request(NamedTuple):
    """One response that is asked for: after a prompt, of at most so many tokens, by draws of its own seed."""

    prompt: tuple[int, ...]
    limit: int
    seed: int


class VllmEngine:
    """An engine whose weights are random until they are loaded.

    Raises:
        VllmError: vLLM can't hold this model here.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self._llm = build(spec)

    @property
    def vocabulary(self) -> int:
        """How many tokens the model knows."""
        return int(self._llm.model_config.get_vocab_size())

    @property
    def block_size(self) -> int:
        """Tokens in a block of the cache."""
        return int(self._llm.llm_engine.vllm_config.cache_config.block_size)

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Take over weights by their Hugging Face names, and forget what was computed with the old ones."""
        # vLLM keeps a layer's weights until it has all of them.
        copies = ((name, weight.detach().clone()) for name, weight in weights)
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": copies})
        self._llm.apply_model(_repack)
        if not self._llm.reset_prefix_cache():
            raise VllmError("vLLM kept its cache of prompts although new weights were loaded")

    def generate(
        self, requests: Sequence[Request], temperature: float, top_p: float, stop: int | None
    ) -> list[Sampled]:
        """Return one response to each request, in order.

        Their log-probs are of the distribution that was sampled from: at `temperature`, within the `top_p`
        nucleus. At temperature 0 the likeliest tokens are taken, and log-probs are those at temperature 1.

        Args:
            requests: What is asked for.
            temperature: 0, or from 0.01 to 2: vLLM takes no other.
            top_p: The nucleus.
            stop: The token that ends a response; None: all are as long as their limits.

        Raises:
            VllmError: vLLM failed, or took longer than the configuration allows.
            ArithmeticError: The policy's logits are not numbers.
        """
        from vllm import SamplingParams

        params = [
            SamplingParams(
                temperature=temperature,
                top_p=top_p,
                seed=each.seed,
                max_tokens=each.limit,
                logprobs=0,
                detokenize=False,
                # The model's own end-of-sequence tokens, of which it may name several, end nothing.
                ignore_eos=True,
                stop_token_ids=[] if stop is None else [stop],
            )
            for each in requests
        ]
        prompts = [{"prompt_token_ids": list(each.prompt)} for each in requests]
        # Where draws have seeds of their own vLLM draws from the global generator all the same.
        with own_draws():
            outputs = self._run(prompts, params)
        return [_sampled(output.outputs[0], stop) for output in outputs]

    def _run(self, prompts: Sequence[Any], params: Sequence[Any]) -> list[Any]:
        limit = self.spec.config.vllm.timeout_seconds
        deadline = time.monotonic() + limit
        outputs: list[Any] = []
        try:
            self._llm.enqueue(prompts, params, use_tqdm=False)
            while self._llm.llm_engine.has_unfinished_requests():
                outputs += [output for output in self._llm.llm_engine.step() if output.finished]
                if time.monotonic() > deadline:
                    raise TimeoutError(f"longer than rollout.vllm.timeout_seconds={limit}")
        except Exception as error:
            raise VllmError(
                f"vLLM failed while it sampled {len(prompts)} responses ({type(error).__name__}: {error}); "
                f"{advice(self.spec)}"
            ) from error
        return sorted(outputs, key=lambda output: int(output.request_id))

    def close(self) -> None:
        """Free all memory; another engine can be built in this process."""
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm
        free_memory()


def _repack(model: torch.nn.Module) -> None:
    """Make packed copies anew of weights that stay beside them, on a CPU: a tied head's would be stale."""
    from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

    for module in model.modules():
        # A packed weight without its original is of size 0, and was packed by the reload.
        if hasattr(module, "cpu_linear") and isinstance(module.weight, Tensor) and module.weight.numel():
            dispatch_cpu_unquantized_gemm(module, remove_weight=False)


def _sampled(completion: Any, stop: int | None) -> Sampled:  # noqa: ANN401
    tokens = tuple(completion.token_ids)
    logp = tuple(place[token].logprob for place, token in zip(completion.logprobs, tokens, strict=True))
    if any(math.isnan(each) for each in logp):
        raise ArithmeticError("the policy's logits are not numbers, so nothing can be sampled from it")
    return Sampled(tokens, logp, truncated=tokens[-1] != stop)
