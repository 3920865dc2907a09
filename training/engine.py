"""DeepSpeed, behind one typed façade: forward, backward and the step it takes."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from training.config import EngineConfig, OptimizerConfig
from training.policy import Scorer
from training.responses import ModelInputs

_NEVER = 10**9

Scores = TypeVar("Scores")


class StepOutcome(NamedTuple):
    """Global gradient norm before clipping, and whether the step was applied."""

    gradient_norm: float
    applied: bool


def _deepspeed() -> Any:  # noqa: ANN401
    """Import DeepSpeed and join a process group of one, if this process has not yet."""
    if int(os.environ.get("WORLD_SIZE", "1")) != 1:
        raise RuntimeError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}: training runs on one rank; start it without a launcher"
        )
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    os.environ.update({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"})
    import deepspeed
    from deepspeed.ops import __compatible_ops__

    deepspeed.utils.logger.setLevel(logging.ERROR)
    # One rank reduces nothing: without this, DeepSpeed compiles its shared-memory reduction first.
    __compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if not torch.distributed.is_initialized():
        store = torch.distributed.HashStore()  # type: ignore[attr-defined]
        torch.distributed.init_process_group(backend, store=store, rank=0, world_size=1)
    deepspeed.init_distributed(dist_backend=backend)
    return deepspeed


def deepspeed_config(config: EngineConfig) -> dict[str, Any]:
    """Return DeepSpeed's own configuration; batch sizes are nominal, as micro-batches are ours."""
    zero: dict[str, Any] = {"stage": config.zero_stage}
    if config.offload:
        zero["offload_optimizer"] = {"device": "cpu"}
        if config.zero_stage == 3:
            zero["offload_param"] = {"device": "cpu"}
    bf16 = config.precision == "bf16"
    return {
        "train_batch_size": 1,
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # At stage 0 the clip is ours, in `Engine.step`.
        "gradient_clipping": (config.gradient_clip or 0.0) if config.zero_stage else 0.0,
        "zero_optimization": zero,
        "bf16": {"enabled": True, "check_grad_overflow": True} if bf16 else {"enabled": False},
        "zero_force_ds_cpu_optimizer": config.offload,
        "steps_per_print": _NEVER,
    }


class Engine(Generic[Scores]):
    """A policy or a critic in DeepSpeed's hands; there may be several in one process.

    Args:
        module: What is trained, in place.
        config: ZeRO, precision, clip.
        optimizer: AdamW.
    """

    def __init__(self, module: Scorer[Scores], config: EngineConfig, optimizer: OptimizerConfig) -> None:
        deepspeed = _deepspeed()
        self.config = config
        arguments: dict[str, Any] = {
            "lr": optimizer.learning_rate,
            "betas": optimizer.betas,
            "eps": optimizer.epsilon,
            "weight_decay": optimizer.weight_decay,
        }
        if config.offload:
            adamw = deepspeed.ops.adam.DeepSpeedCPUAdam(module.parameters(), adamw_mode=True, **arguments)
        else:
            adamw = torch.optim.AdamW(module.parameters(), **arguments)
        self._adamw = adamw
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=module, optimizer=adamw, config=deepspeed_config(config), dist_init_required=False
        )
        self._largest_norm = math.inf if config.skip_norm_above is None else config.skip_norm_above
        self._seen_norm = math.nan
        if config.zero_stage:
            self._watch_norm()

    @property
    def device(self) -> torch.device:
        """Where inputs must be."""
        return torch.device(self._engine.device)

    @property
    def module(self) -> Scorer[Scores]:
        """The model being trained."""
        return cast(Scorer[Scores], self._engine.module)

    def _applies(self, norm: float) -> bool:
        return math.isfinite(norm) and norm <= self._largest_norm

    def _watch_norm(self) -> None:
        """Make ZeRO skip steps whose norm is too large, through its own handling of overflows.

        ZeRO computes the norm inside its step, and a step of infinite norm is dropped with its gradients.
        """
        name = "_get_norm_groups" if self.config.zero_stage == 3 else "scaled_global_norm"
        compute = getattr(self._optimizer, name)

        def watched() -> Any:  # noqa: ANN401
            norms = compute()
            parts = norms if isinstance(norms, list) else [norms]
            self._seen_norm = math.sqrt(sum(float(part) ** 2 for part in parts))
            # DeepSpeed reports a group's norm that is not finite as −1.
            if any(float(part) < 0 for part in parts):
                self._seen_norm = math.nan
            if self._applies(self._seen_norm):
                return norms
            infinite = [torch.full_like(torch.as_tensor(part), math.inf) for part in parts]
            return infinite if isinstance(norms, list) else infinite[0]

        setattr(self._optimizer, name, watched)

    def score(self, inputs: ModelInputs, **options: bool) -> Scores:
        """Return the module's scores of the responses; `options` are its forward's own."""
        return cast(Scores, self._engine(inputs, **options))

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add a micro-batch's gradient; `last` says that the step follows."""
        self._engine.set_gradient_accumulation_boundary(last)
        # Each loss is its share of the step's sum already, and DeepSpeed averages over ranks: undo that.
        self._engine.backward(loss * self._engine.dp_world_size, scale_wrt_gas=False)

    def step(self, learning_rate: float) -> StepOutcome:
        """Clip, and apply the accumulated gradient unless its norm is too large or not finite."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        if self.config.zero_stage:
            self._seen_norm = math.nan
            self._engine.step()
            return StepOutcome(self._seen_norm, self._applies(self._seen_norm))
        norm = float(
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.config.gradient_clip or math.inf)
        )
        if self._applies(norm):
            self._engine.step()
        else:
            self._engine.zero_grad()
        return StepOutcome(norm, self._applies(norm))

    def reset_optimizer(self) -> None:
        """Forget moments and step counts, as if the optimizer were new."""
        for state in self._adamw.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    value.zero_()
                else:
                    state[name] = 0

    def save(self, directory: Path) -> None:
        """Write weights and optimizer state under `directory`."""
        self._engine.save_checkpoint(str(directory), tag="engine", save_latest=False)

    def load(self, directory: Path) -> None:
        """Take back what `save` wrote."""
        if not (directory / "engine").is_dir():
            raise FileNotFoundError(f"{directory} holds no checkpoint of DeepSpeed's")
        self._engine.load_checkpoint(str(directory), tag="engine")

    def close(self) -> None:
        """Free DeepSpeed's hooks and buffers."""
        self._engine.destroy()
