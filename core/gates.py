"""Gates: for each question, how strongly to reinforce (α) and how strongly to imitate (β)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.groups import group_sum
from core.protocols import Schedule
from core.types import GateWeights, TokenBatch


def solve_rate(step: TokenBatch) -> Float[Tensor, " batch"]:
    """Return the share of its question's rollouts that were solved (reward 1), at every row.

    P(q) = (1/n) Σᵢ 1[rᵢ = 1];  NaN for a question without rollouts.

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 7-8.
    """
    rollout = ~step.is_demonstration
    # Whole counts in float64: their quotient is then the very number that "1/8" or "0.1" denotes.
    solved = group_sum((rollout & (step.reward == 1.0)).double(), step.group)
    return solved / group_sum(rollout.double(), step.group)


def known_solve_rate(step: TokenBatch) -> Float[Tensor, " batch"]:
    """Return the solve rate at every row, or raise ValueError where a question has no rollouts."""
    rate = solve_rate(step)
    if rate.isnan().any():
        raise ValueError(
            "a question without rollouts has no solve rate, so a gate can't route it; sample "
            "rollouts for every question, or use rows without a gate"
        )
    return rate


def either(above: Bool[Tensor, " batch"], reinforce: float, imitate: float) -> GateWeights:
    """Return (reinforce, 0) where `above`, (0, imitate) elsewhere."""
    # Filled tensors: between two plain numbers torch.where works in float32.
    ones = torch.ones(above.shape, dtype=torch.float64, device=above.device)
    return GateWeights(torch.where(above, reinforce * ones, 0.0), torch.where(above, 0.0, imitate * ones))


@dataclass(frozen=True)
class ThresholdGate:
    """Imitate a question while its solve rate is at most `threshold`, else reinforce it.

    (α, β) = (reinforce, 0) if P(q) > threshold, (0, imitate) if P(q) ≤ threshold

    See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 9-10. The text of their sec. 4.5
    calls a threshold of 1/8 "at least one correct"; equation and code ask for at least two.

    Args:
        threshold: γ, a share of the question's rollouts. Below 0 nothing is imitated, from 1 on
            everything is.
        reinforce: α of questions above the threshold.
        imitate: β of questions at or below it.
    """

    threshold: float = 0.0
    reinforce: float = 1.0
    imitate: float = 1.0

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = (
        r"(%(reinforce)s,\,0)\ \mathrm{if}\ P_{q}>%(threshold)s\ \mathrm{else}\ (0,\,%(imitate)s)"
    )

    def __post_init__(self) -> None:
        check_range(self, "threshold")
        check_range(self, "reinforce", 0.0)
        check_range(self, "imitate", 0.0)

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return both weights for each row's question."""
        return either(known_solve_rate(step) > self.threshold, self.reinforce, self.imitate)


@dataclass(frozen=True)
class ScheduleGate:
    """Both at once, by a schedule of the run:   (α, β) = (1 − μ, μ), μ = schedule(share of the run done).

    See On-Policy RL Meets Off-Policy Experts: Harmonizing SFT and RL via Dynamic Weighting, Zhang et al.,
    2025 (https://arxiv.org/abs/2508.11408): CHORD.
    """

    schedule: Schedule

    latex: ClassVar[str] = r"(1-\mu,\,\mu),\ \mu=%(schedule)s"

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return both weights, the same for every row."""
        share = self.schedule(step.progress)
        if not 0.0 <= share <= 1.0:
            raise ValueError(
                f"{self.schedule!r} gives μ={share} at progress {step.progress}; the share of imitation must "
                "be in [0, 1]"
            )
        imitate = torch.full(step.reward.shape, share, dtype=torch.float64, device=step.reward.device)
        return GateWeights(1.0 - imitate, imitate)
