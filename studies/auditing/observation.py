"""What one step of an engine revealed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from studies.auditing.truth import Truth


@dataclass(frozen=True, eq=False)
class Observation:
    """What one step revealed, beside what it should have.

    Args:
        truth: The step, and the estimator's own answer.
        coefficient: ĉ_t of each response token, clip included.
        residual: Largest entry of the gradient that no coefficient explains.
        stray: Largest entry of the gradient where no response token is.
        norm: The gradient's norm as the engine reports it.
        applied: Whether the engine says that it took the step.
        resolution: What rounding of weights and logits to fp32 may change each coefficient by: much where a
            fault has made weights large, and where the policy has become so sure of a token that its gradient
            vanishes.
    """

    truth: Truth
    coefficient: Tensor
    residual: float
    stray: float
    norm: float
    applied: bool
    resolution: Tensor
