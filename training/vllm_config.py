"""Settings of vLLM's engine."""

from __future__ import annotations

import math
from dataclasses import dataclass

_COLDEST, _HOTTEST = 0.01, 2.0


def check_temperature(name: str, temperature: float) -> None:
    """Raise ValueError where vLLM would refuse a temperature, or take another without a word."""
    if temperature != 0.0 and not _COLDEST <= temperature <= _HOTTEST:
        raise ValueError(
            f"{name}={temperature} is none of vLLM's, which are 0 (greedy) and {_COLDEST} to {_HOTTEST}; "
            "change it, or take rollout.backend='transformers'"
        )


@dataclass(frozen=True)
class VllmConfig:
    """vLLM's engine, which every rank has in its own process.

    Args:
        gpu_memory_share: Share of a GPU's memory for the engine's weights and its cache of keys and values.
        cpu_cache_gib: GiB of memory for that cache where there is no GPU.
        block_size: Tokens in a block of that cache, and so the shortest prefix that prompts can share. None:
            vLLM's choice.
        timeout_seconds: A call of the sampler that takes longer ends the run.
    """

    gpu_memory_share: float = 0.4
    cpu_cache_gib: float = 1.0
    block_size: int | None = None
    timeout_seconds: float = 1800.0

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        if not 0.0 < self.gpu_memory_share < 1.0:
            raise ValueError(f"rollout.vllm.gpu_memory_share={self.gpu_memory_share} must be in (0, 1)")
        for name in ("cpu_cache_gib", "timeout_seconds"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"rollout.vllm.{name}={getattr(self, name)} must be a finite number above 0")
        if self.block_size is not None and self.block_size < 1:
            raise ValueError(f"rollout.vllm.block_size={self.block_size} must be None or at least 1")
