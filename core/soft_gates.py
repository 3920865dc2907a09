"""Gates that reinforce and imitate a question at once, or that remember what they decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.checks import check_fields, check_range, is_number
from core.gates import either, known_solve_rate
from core.groups import group_sum
from core.types import GateWeights, State, TokenBatch


@dataclass(frozen=True)
class HysteresisGate:
    """A threshold that a question must leave behind by some way before it is routed differently.

    Once imitated, a question is reinforced again when P(q) > high; once reinforced, it is imitated again when
    P(q) ≤ low. A question that was not asked before is imitated if P(q) ≤ low.

    Remembers by question id, so that ids must mean the same question throughout the run.

    Args:
        low: Solve rate at or below which a reinforced question is imitated.
        high: Solve rate above which an imitated question is reinforced, at least `low`; ThresholdGate(low)
            if equal.
        reinforce: α of reinforced questions.
        imitate: β of imitated ones.
    """

    low: float = 0.0
    high: float = 0.25
    reinforce: float = 1.0
    imitate: float = 1.0

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = (
        r"(%(reinforce)s,\,0)\ \mathrm{once}\ P_q>%(high)s,\ (0,\,%(imitate)s)\ \mathrm{once}\ P_q\le%(low)s"
    )

    def __post_init__(self) -> None:
        check_range(self, "low")
        check_range(self, "high", self.low)
        check_range(self, "reinforce", 0.0)
        check_range(self, "imitate", 0.0)

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return both weights for each row's question."""
        state = step.memory.get(repr(self))
        imitated = self.advance(step, {}) if state is None else state
        above = [str(question) not in imitated for question in step.group.tolist()]
        return either(torch.tensor(above, device=step.group.device).bool(), self.reinforce, self.imitate)

    def advance(self, step: TokenBatch, state: State) -> State:
        """Return the questions that are imitated after this step, each with the number 1."""
        imitated = dict(state)
        rates = known_solve_rate(step).tolist()
        for question, rate in zip(map(str, step.group.tolist()), rates, strict=True):
            if rate <= (self.high if question in state else self.low):
                imitated[question] = 1.0
            else:
                imitated.pop(question, None)
        return imitated


@dataclass(frozen=True)
class TableGate:
    """Both weights by the question's solve rate, from two tables.

    Entry k of a table of n + 1 belongs to P(q) = k/n; between entries the weight is linear.

    The released code of Lv et al., 2025 (https://arxiv.org/abs/2509.04419) has such tables, though its loss
    never reads them: for 1 to 8 solved of 7 rollouts and the demonstration, reinforce
    (0, 1/8, 1/4, 1/2, 1, 1, 1, 1) and imitate (1, 1/2, 1/4, 1/8, 0, 0, 0, 0). Its three tables differ only in
    the weight of the demonstration as off-policy data.

    Args:
        reinforce: α, from solve rate 0 to 1.
        imitate: β, from solve rate 0 to 1.
    """

    reinforce: tuple[float, ...]
    imitate: tuple[float, ...]

    needs: ClassVar[frozenset[str]] = frozenset({"rollouts"})
    latex: ClassVar[str] = r"([%(reinforce)s],\,[%(imitate)s])\ \mathrm{interpolated\ at}\ P_q"

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("reinforce", "imitate"):
            table = getattr(self, name)
            if len(table) < 2 or not all(is_number(entry) and entry >= 0 for entry in table):
                raise ValueError(
                    f"TableGate.{name}={table} must be two or more finite weights, 0 or larger: those of "
                    "solve rates from 0 to 1 in equal steps"
                )

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return both weights for each row's question."""
        rate = known_solve_rate(step)
        return GateWeights(_interpolate(self.reinforce, rate), _interpolate(self.imitate, rate))


def _interpolate(table: tuple[float, ...], rate: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    entries = torch.tensor(table, dtype=rate.dtype, device=rate.device)
    place = rate * (len(table) - 1)
    below = place.floor().clamp(max=len(table) - 2)
    return torch.lerp(entries[below.long()], entries[below.long() + 1], place - below)


@dataclass(frozen=True)
class EntropyGate:
    """Reinforce all questions, and imitate each by how sure the policy is of its demonstrations.

    α = reinforce,   β = imitate · exp(sign · H_q)

    with H_q the mean entropy, in nats, of the policy at the tokens of the question's demonstrations, as the
    step is planned and without gradient.

    See SRFT: A Single-Stage Method with Supervised and Reinforcement Fine-Tuning for Reasoning, Fu et al.,
    2025 (https://arxiv.org/abs/2506.19767), whose weight of a demonstration this is for each question.

    Args:
        reinforce: α.
        imitate: β of a demonstration that the policy is sure of.
        sign: −1 imitates less where the policy is undecided, +1 more.
    """

    reinforce: float = 1.0
    imitate: float = 0.5
    sign: float = -1.0

    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations", "current_entropy"})
    plan_needs: ClassVar[frozenset[str]] = frozenset({"current_entropy"})
    latex: ClassVar[str] = r"(%(reinforce)s,\,%(imitate)s\,e^{%(sign)sH_q})"

    def __post_init__(self) -> None:
        check_range(self, "reinforce", 0.0)
        check_range(self, "imitate", 0.0)
        check_range(self, "sign", -1.0, 1.0)

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return both weights for each row's question."""
        entropy = step.require("current_entropy", self).double()
        taught = step.response_mask & step.is_demonstration[:, None]
        total = group_sum(torch.where(taught, entropy, 0.0).sum(dim=1), step.group)
        count = group_sum(taught.sum(dim=1).double(), step.group)
        imitate = self.imitate * (self.sign * total / count.clamp(min=1)).exp()
        return GateWeights(torch.full_like(imitate, self.reinforce), imitate)
