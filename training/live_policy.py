"""Policies as rollout backends follow them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine import Engine
from training.policy import ScoringPolicy, TokenScores
from training.responses import ModelInputs, Response, collate


@dataclass(frozen=True)
class TrainedPolicy:
    """The policy in an engine's hands."""

    engine: Engine[TokenScores]

    @property
    def version(self) -> int:
        """Return the engine's count of changes."""
        return self.engine.version

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each whole weight by its Hugging Face name; use it before the next."""
        return self.engine.weights()

    def logp(self, prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """Return the log-prob of each token after a prompt."""
        with torch.no_grad():
            return _listed(self.engine.score(_one_row(prompt, tokens, self.engine.device)))


@dataclass(frozen=True)
class FixedPolicy:
    """A policy that nothing trains."""

    policy: ScoringPolicy
    version: int = 0

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each weight by its Hugging Face name."""
        for name, weight in self.policy.model.named_parameters():
            yield name, weight.detach()

    def logp(self, prompt: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """Return the log-prob of each token after a prompt."""
        with torch.no_grad():
            return _listed(self.policy(_one_row(prompt, tokens, self.policy.model.device)))


def _one_row(prompt: Sequence[int], tokens: Sequence[int], device: torch.device) -> ModelInputs:
    row = Response(0, tuple(prompt), tuple(tokens), is_demonstration=False, reward=0.0)
    return collate([row], device)


def _listed(scores: TokenScores) -> list[float]:
    found: list[float] = scores.logp[0].tolist()
    return found
