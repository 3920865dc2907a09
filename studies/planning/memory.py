"""The memory that a run needs in each process, part by part."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from studies.planning.activations import MicroBatch, activations
from studies.planning.architecture import Architecture
from studies.planning.states import states, width
from training.config import EngineConfig, TrainConfig

GIB = 2**30
CONTEXT = 2 * GIB
"""Stated, not computed: CUDA's context, cuBLAS' and NCCL's buffers."""
FRAGMENTATION = 0.1
"""Stated, not computed: share of what is computed that the allocator cannot use."""


@dataclass(frozen=True)
class Needs:
    """Which models a run holds beside its policy."""

    critic: bool = False
    reference: bool = False


@dataclass(frozen=True)
class Bill:
    """Bytes in one process at the most crowded moment.

    Args:
        parts: On the GPU, by what they are.
        cpu: In CPU memory, by offload.
        engine: vLLM's share of the GPU; None where the GPU's memory is not known.
        least_engine: The least that vLLM's engine can do with: weights, and one response of the longest.
    """

    parts: dict[str, float]
    cpu: float
    engine: float | None
    least_engine: float

    @property
    def training(self) -> float:
        """Bytes on the GPU without vLLM's engine, margin included."""
        return sum(self.parts.values())

    @property
    def total(self) -> float:
        """Bytes on the GPU."""
        return self.training + (self.least_engine if self.engine is None else self.engine)


def longest(train: TrainConfig) -> int:
    """Return the tokens of the longest row."""
    return train.rollout.max_prompt_tokens + train.rollout.max_response_tokens


def largest_micro_batch(train: TrainConfig, ranks: int) -> MicroBatch:
    """Return the largest micro-batch: a full one, or a single row where that is longer."""
    rows = -(-train.questions_per_step * (train.rollout.samples + 1) // (train.updates_per_step * ranks))
    row = longest(train)
    return MicroBatch(max(row, min(train.engine.micro_batch_tokens, rows * row)), row)


def bill(
    model: Architecture, train: TrainConfig, ranks: int, needs: Needs, gpu_bytes: float | None = None
) -> Bill:
    """Return what a process of a run needs.

    Args:
        model: The policy's sizes; the critic's and the reference policy's are taken to be the same.
        train: Settings.
        ranks: Processes.
        needs: Models beside the policy.
        gpu_bytes: Memory of a GPU; None where it is not known.
    """
    engine, b = train.engine, width(train.engine.precision)
    batch = largest_micro_batch(train, ranks)
    policy, room = states(model, engine, ranks), activations(model, engine, batch)
    in_passes = policy.passes + room.most
    parts = {
        "parameters": policy.parameters,
        "gradients": policy.gradients,
        "optimizer": policy.optimizer,
        "buffers": policy.buffers,
        "activations": room.kept + (room.layer if room.layer > room.logits else 0.0),
        "logits": 0.0 if room.layer > room.logits else room.logits,
        # Only where the optimizer's step needs more than the passes.
        "step": max(0.0, policy.step - in_passes),
        "reference": b * model.parameters if needs.reference else 0.0,
        # The critic's graph is there while the policy's is gone through.
        "critic": policy.passes + room.kept if needs.critic else 0.0,
    }
    parts["margin"] = CONTEXT + FRAGMENTATION * sum(parts.values())
    cpu = policy.cpu * (2 if needs.critic else 1)
    least = 0.0
    if train.rollout.backend == "vllm":
        least = b * model.parameters + cache_bytes(model, b) * longest(train)
    share = train.rollout.vllm.gpu_memory_share if train.rollout.backend == "vllm" else 0.0
    return Bill(parts, cpu, None if gpu_bytes is None else share * gpu_bytes, least)


def cache_bytes(model: Architecture, b: int) -> int:
    """Return the bytes of a token's keys and values: 2 × layers × key-value heads × their size × b."""
    return 2 * model.layers * model.cache * b


def with_engine(train: TrainConfig, **changes: object) -> TrainConfig:
    """Return settings with others of the engine.

    Raises:
        ValueError: The engine refuses them.
    """
    engine: EngineConfig = dataclasses.replace(train.engine, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(train, engine=engine)
