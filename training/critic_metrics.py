"""What updates report of the critic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from training.numbers import finite, share

_ROUNDING = 1e-12


@dataclass
class CriticReport:
    """How well the critic's values, as they were before the update, foretold what it is trained on."""

    updates: int = 0
    loss: float = 0.0
    gradient_norm: float = math.nan
    tokens: int = 0
    value: float = 0.0
    returned: float = 0.0
    returned_squared: float = 0.0
    error: float = 0.0
    error_squared: float = 0.0

    def count(self, value: Tensor, target: Tensor) -> None:
        """Count tokens by their value and what the value was to be."""
        # In double precision: variances are differences of sums.
        value, target = value.double(), target.double()
        error = target - value
        self.tokens += error.numel()
        self.value += float(value.sum())
        self.returned += float(target.sum())
        self.returned_squared += float((target**2).sum())
        self.error += float(error.sum())
        self.error_squared += float((error**2).sum())

    def explained_variance(self) -> float | None:
        """Return 1 − Var(R − V)/Var(R) over the tokens; None where returns do not vary."""
        if not self.tokens:
            return None
        mean_square = self.returned_squared / self.tokens
        variance = mean_square - (self.returned / self.tokens) ** 2
        if variance <= _ROUNDING * mean_square:
            return None
        unexplained = self.error_squared / self.tokens - (self.error / self.tokens) ** 2
        return 1.0 - unexplained / variance

    def metrics(self) -> dict[str, float | None]:
        """Return means over tokens, the loss a mean over updates."""
        return {
            "critic/loss": share(self.loss, self.updates),
            "critic/gradient_norm": finite(self.gradient_norm),
            "critic/explained_variance": self.explained_variance(),
            "critic/value": share(self.value, self.tokens),
            "critic/return": share(self.returned, self.tokens),
        }
