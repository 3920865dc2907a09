"""What an algorithm asks of its rollouts beyond plain samples: demonstration prefixes, mixed groups.

Plain data: `training` carries it out, and draws the random numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.protocols import PrefixLength, Schedule


@dataclass(frozen=True)
class UniformShare:
    """Shares drawn evenly between a lower bound, which may fall over the run, and `high`.

    See Blending Supervised and Reinforcement Fine-Tuning with Prefix Sampling, Huang et al., 2025
    (https://arxiv.org/abs/2507.01679), sec. 3.

    Args:
        low: Smallest share; taken as `high` where it is above it, as 0 below 0.
        high: Largest share.
    """

    low: Schedule
    high: float = 0.95

    latex: ClassVar[str] = r"\mathcal{U}[%(low)s,\,%(high)s]"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "high", 0.0, 1.0)

    def __call__(self, draw: Float[Tensor, " row"], progress: float) -> Float[Tensor, " row"]:
        """Return each row's share."""
        low = min(max(self.low(progress), 0.0), self.high)
        return low + (self.high - low) * draw


@dataclass(frozen=True)
class BinomialChunks:
    """The first k of `chunks` equal pieces, k binomial:   P(k) = C(chunks, k) · p^k · (1 − p)^(chunks − k).

    See UFT: Unifying Supervised and Reinforcement Fine-Tuning, Liu et al., 2025
    (https://arxiv.org/abs/2505.16984), sec. 3, and its released code, which cuts a solution into 5 pieces.

    Args:
        chance: p of each piece, annealed over the run.
        chunks: Pieces of a demonstration.
    """

    chance: Schedule
    chunks: int = 5

    latex: ClassVar[str] = r"\mathrm{Bin}(%(chunks)s,\,%(chance)s)/%(chunks)s"

    def __post_init__(self) -> None:
        check_fields(self)
        check_range(self, "chunks", 1)

    def __call__(self, draw: Float[Tensor, " row"], progress: float) -> Float[Tensor, " row"]:
        """Return each row's share: the binomial's inverse distribution at its draw."""
        p = min(max(self.chance(progress), 0.0), 1.0)
        mass = [math.comb(self.chunks, k) * p**k * (1.0 - p) ** (self.chunks - k) for k in range(self.chunks)]
        below = torch.tensor(mass, dtype=draw.dtype, device=draw.device).cumsum(0)
        return (draw[:, None] >= below).sum(dim=1).to(draw.dtype) / self.chunks


@dataclass(frozen=True)
class DemonstrationPrefix:
    """The first `rollouts` of each group begin with tokens of the question's demonstration.

    Args:
        length: How many of them, as a share.
        rollouts: Rollouts of each group that are given a prefix; None: all.
    """

    length: PrefixLength
    rollouts: int | None = None

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts", "prefixes"})
    latex: ClassVar[str] = r"|y_{\mathrm{prefix}}|/|y^*|\sim%(length)s"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.rollouts is not None:
            check_range(self, "rollouts", 1)


@dataclass(frozen=True)
class DynamicSampling:
    """Questions whose rollouts all have one reward are replaced by others, for at most `rounds` rounds.

    See DAPO, Yu et al., 2025 (https://arxiv.org/abs/2503.14476), sec. 3.2.
    """

    rounds: int = 10

    latex: ClassVar[str] = r"\sigma_{\mathrm{on}}>0\ \mathrm{after\ at\ most}\ %(rounds)s\ \mathrm{rounds}"

    def __post_init__(self) -> None:
        check_range(self, "rounds", 1)


@dataclass(frozen=True)
class RolloutPlan:
    """All of an algorithm's wishes; none of them by default."""

    prefix: DemonstrationPrefix | None = None
    dynamic: DynamicSampling | None = None

    def __post_init__(self) -> None:
        check_fields(self)
