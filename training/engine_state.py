"""What a DeepSpeed engine holds, as whole fp32 tensors, at any ZeRO stage and number of ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

MOMENTS = ("exp_avg", "exp_avg_sq")
WEIGHT = "weight"


class EngineState:
    """Reads and writes weights and Adam's moments. All methods are collective.

    Args:
        module: What is trained.
        adamw: The optimizer that DeepSpeed was given.
        stage: ZeRO stage.
        rank: Of this process.
    """

    def __init__(self, module: nn.Module, adamw: torch.optim.Optimizer, stage: int, rank: int) -> None:
        self.parameters = {name.removeprefix("model."): each for name, each in module.named_parameters()}
        self._adamw, self._stage, self._rank = adamw, stage, rank

    def kinds(self) -> tuple[str, ...]:
        """Return what there is of each parameter: moments only once a step was taken."""
        return (WEIGHT, *MOMENTS) if self._adamw.state else (WEIGHT,)

    def read(self, name: str, kind: str) -> Tensor:
        """Return a parameter's fp32 master weight or one of its moments, whole."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        parameter = self.parameters[name]
        if self._stage == 0:
            found = parameter.detach() if kind == WEIGHT else self._adamw.state[parameter][kind]
        elif kind == WEIGHT:
            found = safe_get_full_fp32_param(parameter)
        else:
            found = safe_get_full_optimizer_state(parameter, kind)
        return found.float()

    def write(self, name: str, values: Mapping[str, Tensor]) -> None:
        """Set a parameter's weight and moments; the weight that forward uses is rounded from the fp32 one."""
        parameter = self.parameters[name]
        with torch.no_grad():
            if self._stage == 3:
                self._write_partition(parameter, values)
            else:
                self._write_whole(parameter, values)

    def _write_whole(self, parameter: nn.Parameter, values: Mapping[str, Tensor]) -> None:
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        parameter.copy_(values[WEIGHT])
        if self._stage:
            safe_set_full_fp32_param(parameter, values[WEIGHT])
        for kind in values.keys() - {WEIGHT}:
            if self._stage:
                safe_set_full_optimizer_state(parameter, values[kind], kind)
            else:
                self._adamw.state[parameter][kind].copy_(values[kind])

    def _write_partition(self, parameter: nn.Parameter, values: Mapping[str, Tensor]) -> None:
        import deepspeed
        from deepspeed.utils import (
            safe_get_local_fp32_param,
            safe_set_local_fp32_param,
            safe_set_local_optimizer_state,
        )

        size = safe_get_local_fp32_param(parameter).numel()
        start = self._rank * size
        for kind, value in values.items():
            # The last ranks' partitions reach beyond the parameter's end.
            flat = pad(value.flatten(), (0, max(0, start + size - value.numel())))[start : start + size]
            if kind == WEIGHT:
                safe_set_local_fp32_param(parameter, flat)
            else:
                safe_set_local_optimizer_state(parameter, flat, kind)
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
            if self._rank == 0:
                parameter.copy_(values[WEIGHT])

    def free(self, optimizer: object) -> None:
        """Give back the memory of all that DeepSpeed keeps beside the module, and at stage 3 of its shards.

        Something in DeepSpeed refers to a closed engine's optimizer for as long as the process lives.

        Args:
            optimizer: DeepSpeed's, around the one that it was given.
        """
        if self._stage == 0:
            return
        held: list[Any] = [getattr(optimizer, "grad_partitions_flat_buffer", None)]
        held += [getattr(parameter, "ds_tensor", None) for parameter in self.parameters.values()]
        for master, state in self._adamw.state.items():
            held += [master, getattr(master, "grad", None), *state.values()]
        for tensor in held:
            if isinstance(tensor, Tensor):
                tensor.untyped_storage().resize_(0)

    def forward_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each whole weight as forward uses it, by its Hugging Face name; use it before the next."""
        import deepspeed

        for name, parameter in self.parameters.items():
            with deepspeed.zero.GatheredParameters([parameter], enabled=self._stage == 3):
                yield name, parameter.detach()

    def steps(self) -> int:
        """Return how many steps Adam's bias correction counts."""
        return max((int(state["step"]) for state in self._adamw.state.values()), default=0)

    def set_steps(self, steps: int) -> None:
        """Have Adam's bias correction count from `steps` on."""
        for state in self._adamw.state.values():
            if isinstance(state["step"], Tensor):
                state["step"].fill_(steps)
            else:
                state["step"] = steps
        _count_in_cpu_adam(self._adamw, steps)

    def forget_moments(self) -> None:
        """Set moments and step counts to 0, as in a new optimizer."""
        for state in self._adamw.state.values():
            for kind in MOMENTS:
                state[kind].zero_()
        self.set_steps(0)


def _count_in_cpu_adam(adamw: Any, steps: int) -> None:  # noqa: ANN401
    """Bring DeepSpeed's CPU Adam to the powers of β that `steps` steps in a row leave.

    It multiplies them up step by step in fp32; where steps do not follow one another it takes a power
    instead, which may differ in the last bit from what an undisturbed run has.
    """
    if not hasattr(adamw, "ds_opt_adam"):
        return
    group, dummy = adamw.param_groups[0], [torch.zeros(1) for _ in range(4)]
    # Step 0 makes it start anew: the power of 0 is 1.
    for step in range(steps + 1):
        adamw.ds_opt_adam.adam_update(adamw.opt_id, step, 0.0, *group["betas"], 1.0, 0.0, True, *dummy)
