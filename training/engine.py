"""DeepSpeed, behind one typed façade: forward, backward and the step it takes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from training.config import EngineConfig, OptimizerConfig
from training.engine_setup import deepspeed_config, load_deepspeed, restore_linear
from training.engine_state import WEIGHT, EngineState
from training.policy import Scorer
from training.ranks import join_ranks
from training.responses import ModelInputs, Response, collate
from training.state_files import has_moments, read_state, write_state

Scores = TypeVar("Scores")


class StepOutcome(NamedTuple):
    """Global gradient norm before clipping, and whether the step was applied."""

    gradient_norm: float
    applied: bool


class Engine(Generic[Scores]):
    """A policy or a critic in DeepSpeed's hands; there may be several in one process.

    Args:
        module: What is trained, in place.
        config: ZeRO, precision, clip.
        optimizer: AdamW.
    """

    def __init__(self, module: Scorer[Scores], config: EngineConfig, optimizer: OptimizerConfig) -> None:
        self.ranks = join_ranks()
        deepspeed = load_deepspeed()
        self.config = config
        self.version = 0
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
        self._engine, self._optimizer, _, _ = deepspeed.initialize(
            model=module, optimizer=adamw, config=deepspeed_config(config), dist_init_required=False
        )
        self._state = EngineState(self._engine.module, adamw, config.zero_stage, self.ranks.rank)
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
        norm = self._step_zero() if self.config.zero_stage else self._step_plain()
        self.version += self._applies(norm)
        return StepOutcome(norm, self._applies(norm))

    def _step_zero(self) -> float:
        self._seen_norm = math.nan
        self._engine.step()
        return self._seen_norm

    def _step_plain(self) -> float:
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.config.gradient_clip or math.inf)
        if self._applies(float(norm)):
            self._engine.step()
        else:
            self._engine.zero_grad()
        return float(norm)

    def reset_optimizer(self) -> None:
        """Forget moments and step counts, as if the optimizer were new."""
        self._state.forget_moments()

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each whole weight as forward uses it, by its Hugging Face name; use it before the next."""
        return self._state.forward_weights()

    def master_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each whole weight in fp32, as the optimizer keeps it; copy what a step must not change."""
        for name in self._state.parameters:
            yield name, self._state.read(name, WEIGHT)

    def save(self, directory: Path) -> None:
        """Write weights and optimizer state under `directory`, the same on any number of ranks."""
        write_state(directory / "engine", self._state, self.ranks)

    def load(self, directory: Path) -> None:
        """Take back what `save` wrote, at any ZeRO stage and on any number of ranks.

        Raises:
            FileNotFoundError: There is no checkpoint.
            ValueError: It is another model's.
        """
        if has_moments(directory / "engine"):
            self._make_moments()
        read_state(directory / "engine", self._state)
        self.version += 1

    def _make_moments(self) -> None:
        """Have the optimizer make the state that a checkpoint fills: it does so in its first step alone."""
        row = Response(0, (0,), (0,), is_demonstration=False, reward=0.0)
        scores = self._engine(collate([row], self.device))
        parts = scores if isinstance(scores, tuple) else (scores,)
        self.backward(0.0 * sum(part.sum() for part in parts if part.requires_grad), last=True)
        self.step(0.0)

    def close(self) -> None:
        """Free DeepSpeed's hooks and tensors; at stage 3 the module's weights are gone with them."""
        self._engine.destroy()
        restore_linear()
        self._state.free(self._optimizer)
