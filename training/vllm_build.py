"""Building vLLM's engine, beside a trainer in the same process."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.config import Precision, RolloutConfig
from training.memory import free_memory
from training.vllm_process import keep_process_groups, undisturbed


class VllmError(RuntimeError):
    """vLLM could not start, or failed, or took too long."""


@dataclass(frozen=True)
class EngineSpec:
    """What an engine is built for.

    Args:
        path: Directory or hub name of a model; its weights are not read.
        precision: Type of its parameters.
        overrides: Attributes of its configuration to change.
        max_tokens: Most tokens of a prompt and its response together.
        config: Memory, time and how many responses at once.
    """

    path: str
    precision: Precision
    overrides: Mapping[str, Any]
    max_tokens: int
    config: RolloutConfig


def build(spec: EngineSpec) -> Any:  # noqa: ANN401
    """Return vLLM's engine.

    Raises:
        VllmError: vLLM can't hold this model here.
    """
    try:
        with undisturbed():
            llm = _build(spec)
    except Exception as error:
        free_memory()
        raise VllmError(
            f"vLLM could not be started for {spec.path!r} ({type(error).__name__}: {error}); {advice(spec)}"
        ) from error
    # vLLM hides all that exists so far from the garbage collector: the trainer's, too.
    gc.unfreeze()
    return llm


def _build(spec: EngineSpec) -> Any:  # noqa: ANN401
    from vllm import LLM
    from vllm.platforms import current_platform

    keep_process_groups()
    settings = spec.config.vllm
    on_cpu = current_platform.is_cpu()
    if on_cpu:
        place: dict[str, Any] = {
            "kv_cache_memory_bytes": int(settings.cpu_cache_gib * 2**30),
            # Where a prompt is read in parts, vLLM sets seeded generators back: those of CPUs cannot be.
            "enable_chunked_prefill": False,
        }
    else:
        place = {"gpu_memory_utilization": settings.gpu_memory_share}
    if settings.block_size is not None:
        place["block_size"] = settings.block_size
    llm = LLM(
        spec.path,
        skip_tokenizer_init=True,
        # The model's files must not change how it samples.
        generation_config="vllm",
        load_format="dummy",
        dtype="bfloat16" if spec.precision == "bf16" else "float32",
        hf_overrides=dict(spec.overrides),
        max_model_len=spec.max_tokens,
        max_num_seqs=spec.config.batch_size,
        logprobs_mode="processed_logprobs",
        enforce_eager=on_cpu,
        # One engine a rank, on the rank's own GPU, beside the process group that is there.
        distributed_executor_backend="external_launcher",
        **place,
    )
    if on_cpu:
        _check_heads(llm)
    return llm


def _check_heads(llm: Any) -> None:  # noqa: ANN401
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    size, known = llm.model_config.get_head_size(), CPUAttentionBackend.get_supported_head_sizes()
    if size not in known:
        raise ValueError(
            f"its heads are of size {size}, and on a CPU vLLM knows those of {known}: take "
            "rollout.backend='transformers', or a GPU"
        )


def advice(spec: EngineSpec) -> str:
    """Return what to change where memory ran out."""
    settings = spec.config.vllm
    return (
        f"if memory ran out, change rollout.vllm.gpu_memory_share={settings.gpu_memory_share} (on a CPU "
        f"cpu_cache_gib={settings.cpu_cache_gib}) or lower rollout.batch_size={spec.config.batch_size}"
    )
