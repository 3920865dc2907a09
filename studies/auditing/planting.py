"""What engines with a planted fault have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from studies.auditing.layout import Layout
from training.config import EngineConfig, OptimizerConfig
from training.engine import Engine
from training.policy import ScoringPolicy, TokenScores
from training.responses import ModelInputs, Response


class PlantedEngine(Engine[TokenScores]):
    """The engine, told beforehand what it will train on."""

    stages: ClassVar[tuple[int, ...]] = (0, 1, 2, 3)
    """ZeRO stages that the fault can be planted in."""

    def __init__(self, module: ScoringPolicy, config: EngineConfig, optimizer: OptimizerConfig) -> None:
        super().__init__(module, self.configured(config), optimizer)
        self.asked = config

    @staticmethod
    def configured(config: EngineConfig) -> EngineConfig:
        """Return the configuration that is used instead of the one asked for."""
        return config

    def expect(self, rows: Sequence[Response], layout: Layout) -> None:
        """Hear of the rows of the next step, and where they are trained."""
        self.rows, self.layout = rows, layout
        self.position = -1
        """Number of the micro-batch that is being trained."""

    @property
    def steps(self) -> int:
        """How many micro-batches every rank takes."""
        return max(self.layout.counts)

    def score(self, inputs: ModelInputs, **options: bool) -> TokenScores:
        """Score the next micro-batch."""
        self.position += 1
        return super().score(inputs, **options)

    def inside(self, inputs: ModelInputs) -> list[Response]:
        """Return the rows of a micro-batch."""
        known = {row.tokens[0]: row for row in self.rows}
        return [known[int(first)] for first in inputs.response_tokens[:, 0]]


class Reweighing(PlantedEngine):
    """Changes what each token's log-prob weighs in the loss."""

    def score(self, inputs: ModelInputs, **options: bool) -> TokenScores:
        """Score the next micro-batch, its gradient multiplied."""
        scores = super().score(inputs, **options)
        factor = self.factor(inputs).to(scores.logp)
        # The value stays, and the gradient is multiplied.
        logp = scores.logp.detach() + (scores.logp - scores.logp.detach()) * factor
        return TokenScores(logp, scores.entropy)

    def factor(self, inputs: ModelInputs) -> Tensor:
        """Return what each token's gradient is multiplied with."""
        raise NotImplementedError
