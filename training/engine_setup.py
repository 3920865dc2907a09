"""How DeepSpeed is loaded, and what it is told."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch

from training.config import EngineConfig

_NEVER = 10**9
_linear = torch.nn.functional.linear  # as PyTorch has it: no engine exists yet


def load_deepspeed() -> Any:  # noqa: ANN401
    """Import DeepSpeed into a process that has joined its ranks, and return it."""
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # DeepSpeed reads these even where a process group is given to it.
    os.environ.setdefault("LOCAL_RANK", "0")
    import deepspeed
    from deepspeed.ops import __compatible_ops__

    deepspeed.utils.logger.setLevel(logging.ERROR)
    # gloo reduces as well: without this, DeepSpeed first compiles a shared-memory reduction of its own.
    __compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo")
    return deepspeed


def restore_linear() -> None:
    """Undo what ZeRO-3 does to `torch.nn.functional.linear` of the whole process, and leaves behind."""
    torch.nn.functional.linear = _linear


def deepspeed_config(config: EngineConfig) -> dict[str, Any]:
    """Return DeepSpeed's own configuration; batch sizes are nominal, as micro-batches are ours."""
    zero: dict[str, Any] = {"stage": config.zero_stage}
    if config.offload:
        zero["offload_optimizer"] = {"device": "cpu"}
        if config.zero_stage == 3:
            zero["offload_param"] = {"device": "cpu"}
    bf16 = config.precision == "bf16"
    # At stage 1 an fp32 accumulator makes DeepSpeed take another optimizer, one without a norm to watch.
    accumulator = {"data_types": {"grad_accum_dtype": "fp32"}} if bf16 and config.zero_stage > 1 else {}
    return {
        **accumulator,
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # At stage 0 the clip is ours, in `Engine.step`.
        "gradient_clipping": (config.gradient_clip or 0.0) if config.zero_stage else 0.0,
        "zero_optimization": zero,
        "bf16": {"enabled": True, "check_grad_overflow": True} if bf16 else {"enabled": False},
        # In bf16, too, gradients are summed over ranks in fp32.
        "communication_data_type": "fp32",
        "zero_force_ds_cpu_optimizer": config.offload,
        "steps_per_print": _NEVER,
    }
