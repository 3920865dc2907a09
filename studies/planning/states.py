"""Memory of parameters, gradients and optimizer states under ZeRO."""

from __future__ import annotations

from dataclasses import dataclass

from studies.planning.architecture import Architecture
from training.config import EngineConfig
from training.engine_setup import deepspeed_config

REDUCE_BUCKET, PREFETCH, LIVE, SUB_GROUP = 500_000_000, 50_000_000, 1_000_000_000, 1_000_000_000
"""DeepSpeed's defaults, in elements: gradients reduced at once; parameters of stage 3 that are gathered in
advance, and that stay gathered; parameters stepped at once."""

MOMENTS, MASTERS, MASTER_GRADIENTS = 8, 4, 4
"""Bytes a parameter: Adam's two moments, weights and gradients in fp32."""


@dataclass(frozen=True)
class States:
    """Bytes that one process needs of a model that it trains, whatever the tokens.

    Args:
        parameters: On the GPU; at stage 3 with those of other ranks that are gathered at one time.
        gradients: On the GPU, at the most crowded moment of accumulation.
        optimizer: On the GPU: masters and moments.
        buffers: On the GPU: where gradients are reduced.
        step: On the GPU, all in all, in the optimizer's step, when there are no activations.
        cpu: In CPU memory, by offload.
    """

    parameters: float
    gradients: float
    optimizer: float
    buffers: float
    step: float
    cpu: float = 0.0

    @property
    def passes(self) -> float:
        """Bytes on the GPU in forward and backward, without activations."""
        return self.parameters + self.gradients + self.optimizer + self.buffers


def width(precision: str) -> int:
    """Return the bytes of a parameter, an activation, or a gradient as backward makes it."""
    return 2 if precision == "bf16" else 4


def states(model: Architecture, engine: EngineConfig, ranks: int) -> States:
    """Return what a model's states need in each process.

    Rajbhandari et al., 2020 (ZeRO, https://arxiv.org/abs/1910.02054), §3 and §5, with N parameters on P ranks
    and masters in fp32: 2N + 2N + 12N bytes, of which stage 1 divides the last term by P, stage 2 the second
    too, stage 3 all. Differs from it as DeepSpeed 0.19 does: in fp32 there are masters beside the parameters
    from stage 1 on; stage 1 copies its share of the gradients, stages 2 and 3 hold what was accumulated and
    what comes; stage 3 keeps up to `LIVE` parameters gathered; a bucket of gradients is always there; Adam
    has temporaries. Offload copies as ZeRO-Offload does (Ren et al., 2021, https://arxiv.org/abs/2101.06840).
    tests/studies/planning compares all of it with engines.

    Args:
        model: Its sizes.
        engine: Stage, offload, precision.
        ranks: Processes.
    """
    build = {0: _plain, 1: _partitioned, 2: _partitioned, 3: _sharded}[engine.zero_stage]
    return build(model, engine, ranks)


def _bucket(engine: EngineConfig) -> int:
    return int(deepspeed_config(engine)["zero_optimization"].get("reduce_bucket_size", REDUCE_BUCKET))


def _accumulated(engine: EngineConfig) -> int:
    """Return the bytes of a gradient as ZeRO keeps it from micro-batch to micro-batch."""
    kind = deepspeed_config(engine).get("data_types", {}).get("grad_accum_dtype")
    return 4 if kind == "fp32" else width(engine.precision)


def _plain(model: Architecture, engine: EngineConfig, ranks: int) -> States:  # noqa: ARG001  as the others
    n, b = model.parameters, width(engine.precision)
    return States(
        parameters=b * n,
        gradients=b * n,
        optimizer=MOMENTS * n,
        # Gradients are flattened for their reduction at the last micro-batch, so many at once.
        buffers=b * min(n, REDUCE_BUCKET),
        step=(2 * b + MOMENTS) * n + 8 * model.largest,
    )


def _partitioned(model: Architecture, engine: EngineConfig, ranks: int) -> States:
    """Return the needs of stages 1 and 2."""
    n, b, share = model.parameters, width(engine.precision), model.parameters / ranks
    bucket, whole = b * _bucket(engine), b * model.largest
    first = engine.zero_stage == 1
    if engine.offload:
        accumulated = 0.0 if first else _accumulated(engine) * share
        return States(
            parameters=b * n,
            gradients=b * n if first else b * share + whole,
            optimizer=0.0,
            buffers=bucket + whole,
            step=b * n,
            # Besides masters, moments and gradients in fp32 a copy of the share in the parameters' type.
            cpu=(MASTERS + MOMENTS + MASTER_GRADIENTS + b) * share + accumulated + whole,
        )
    kept = (MASTERS + MOMENTS) * share
    return States(
        parameters=b * n,
        gradients=b * n + b * share if first else (_accumulated(engine) + b) * share + whole,
        optimizer=kept,
        buffers=bucket,
        step=b * n + kept + _stepping(share),
    )


def _sharded(model: Architecture, engine: EngineConfig, ranks: int) -> States:
    """Return the needs of stage 3."""
    n, b, share = model.parameters, width(engine.precision), model.parameters / ranks
    bucket, whole = b * _bucket(engine), b * model.largest
    gathered = b * (min(n, LIVE) + min(n, PREFETCH))
    if engine.offload:
        return States(
            parameters=gathered,
            gradients=whole,
            optimizer=0.0,
            buffers=bucket,
            step=bucket,
            cpu=(b + _accumulated(engine) + MASTERS + MOMENTS + MASTER_GRADIENTS) * share,
        )
    kept = (MASTERS + MOMENTS) * share
    return States(
        # A single rank has all parameters where they are.
        parameters=b * share + (gathered if ranks > 1 else 0),
        gradients=_accumulated(engine) * share + whole,
        optimizer=kept,
        buffers=bucket,
        step=(b + _accumulated(engine)) * share + kept + bucket + _stepping(min(share, SUB_GROUP)),
    )


def _stepping(elements: float) -> float:
    """Return the bytes of an Adam step's gradients in fp32 and of its two temporaries."""
    return (MASTER_GRADIENTS + 8) * elements
