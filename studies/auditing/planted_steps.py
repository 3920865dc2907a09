"""Engines with a fault planted in what happens to the whole gradient: its clip, its step, what remains."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor

from studies.auditing.planting import PlantedEngine
from training.config import EngineConfig, OptimizerConfig
from training.engine import StepOutcome
from training.policy import ScoringPolicy, TokenScores
from training.responses import ModelInputs


class NoClip(PlantedEngine):
    """The clip is configured and never reaches the engine."""

    @staticmethod
    def configured(config: EngineConfig) -> EngineConfig:
        """Return the configuration without its clip."""
        return dataclasses.replace(config, gradient_clip=None)


class ClippedMicroBatches(NoClip):
    """Each micro-batch's gradient is clipped by itself."""

    def __init__(self, module: ScoringPolicy, config: EngineConfig, optimizer: OptimizerConfig) -> None:
        # Outside the engine, to take norms with.
        self._copy = copy.deepcopy(module).float()
        super().__init__(module, config, optimizer)

    def score(self, inputs: ModelInputs, **options: bool) -> TokenScores:
        """Score the next micro-batch, and remember of it what the fault needs."""
        self.inputs = inputs
        scores = super().score(inputs, **options)
        # A tensor of its own: DeepSpeed's hooks on what its forward returns allow its own backward only.
        self.logp = scores.logp.clone()
        return TokenScores(self.logp, scores.entropy)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Backpropagate what the fault leaves of the loss."""
        limit = self.asked.gradient_clip
        norm = self._norm(loss)
        super().backward(loss if limit is None else loss * min(1.0, limit / (norm + 1e-6)), last=last)

    def _norm(self, loss: Tensor) -> float:
        """Return the norm of a micro-batch's gradient, from a copy of the model outside the engine."""
        (weights,) = torch.autograd.grad(loss, self.logp, retain_graph=True)
        parameters = dict(self._copy.model.named_parameters())
        with torch.no_grad():
            for name, weight in self.weights():
                parameters[name].copy_(weight)
        found = torch.autograd.grad((self._copy(self.inputs).logp * weights).sum(), list(parameters.values()))
        return float(torch.cat([part.flatten() for part in found]).norm())


class Leftover(PlantedEngine):
    """Gradients are not cleared after a step."""

    stages = (0,)

    def step(self, learning_rate: float) -> StepOutcome:
        """Take the step as the fault has it."""
        parameters = list(self.module.parameters())
        kept = [parameter.grad.clone() for parameter in parameters if parameter.grad is not None]
        outcome = super().step(learning_rate)
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient
        return outcome


class WrongNorm(PlantedEngine):
    """The norm that is reported is twice the gradient's."""

    def step(self, learning_rate: float) -> StepOutcome:
        """Take the step as the fault has it."""
        outcome = super().step(learning_rate)
        return outcome._replace(gradient_norm=2.0 * outcome.gradient_norm)


class NoStep(PlantedEngine):
    """The learning rate never reaches the optimizer."""

    def step(self, learning_rate: float) -> StepOutcome:
        """Take the step as the fault has it."""
        return super().step(0.0 * learning_rate)
