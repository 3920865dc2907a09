"""Gates that are controllers: they measure both estimators and move the weight between them step by step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.checks import check_fields, check_range
from core.estimator import PolicyGradient
from core.groups import moments
from core.hooks import Planned
from core.needs import needs_of
from core.protocols import Schedule
from core.types import GateWeights, PolicyTokens, State, TermPlan, TokenBatch


@dataclass(frozen=True)
class GacGate:
    """Mix reinforcement and imitation by their noise and their disagreement:   (α, β) = (1 − μ, μ).

    μ* = (target · Δ² + σ_r²) / (Δ² + σ_s² + σ_r²)

    which minimises (μ − target)² Δ² + μ² σ_s² + (1 − μ)² σ_r², the squared error of the mixed gradient. The
    three are measured on coefficients instead of gradients, at the policy as the step is planned:

    σ_r²: variance over rollouts of the row's mean advantage
    σ_s²: variance over demonstrations of the row's mean −log π_θ, without the `trim` lowest and highest
    Δ²: mean over rows of the row's mean squared difference of the two estimators' coefficients at its tokens,
        each z-normalised over the step's tokens; on demonstrations that of reinforcement is 0

    all variances dividing by n. They are averaged exponentially over the steps, and μ follows them slowly:

    μ₁ = smoothing · μ + (1 − smoothing) · μ*,   μ₂ = (1 − blend) · prior + blend · μ₁
    μ ← μ + min(max(μ₂ − μ, −cap), cap), kept in [low, high]

    See GAC: Noise-Aware Adaptive Mixing for Hybrid SFT-RL Post-Training, Hu et al., 2026
    (https://arxiv.org/abs/2605.26184), sec. 3, and its authors' method notes.
    Differs from the paper: `target` stands still, where theirs follows the measured divergence from a
    reference policy; the coefficients are z-normalised, as the notes say and the released code does not.

    Args:
        reinforce: Estimator of the rollouts.
        imitate: Estimator of the demonstrations.
        start: μ before the first step.
        prior: μ that the controller is held to.
        target: μ where both estimators are free of noise.
        smoothing: Share of the past in the averages and in μ₁.
        blend: Share of the measured in μ₂.
        cap: Farthest that μ moves in a step.
        trim: Share of demonstrations left out at either end of σ_s², where there are at least four.
        low: Lowest μ.
        high: Highest μ.
        every: Steps between two measurements.
    """

    reinforce: PolicyGradient
    imitate: PolicyGradient
    start: float
    prior: Schedule
    target: float = 0.5
    smoothing: float = 0.99
    blend: float = 0.5
    cap: float = 0.01
    trim: float = 0.1
    low: float = 0.05
    high: float = 0.9
    every: int = 10

    measures: ClassVar[tuple[str, ...]] = ("reinforce", "imitate")
    latex: ClassVar[str] = (
        r"(1-\mu,\,\mu),\ \mu\!:%(start)s\to(1-%(blend)s)\{%(prior)s\}"
        r"+%(blend)s\,\tfrac{%(target)s\Delta^2+\sigma_r^2}{\Delta^2+\sigma_s^2+\sigma_r^2}"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("start", "target", "smoothing", "blend", "cap", "low"):
            check_range(self, name, 0.0, 1.0)
        check_range(self, "trim", 0.0, 0.49)
        check_range(self, "high", self.low, 1.0)
        check_range(self, "every", 1)

    @property
    def needs(self) -> frozenset[str]:
        """Both kinds of rows, and what both estimators read, at the policy as the step is planned."""
        return self.plan_needs | {"rollouts", "demonstrations"}

    @property
    def plan_needs(self) -> frozenset[str]:
        """The policy as the step is planned; what both estimators read, already then."""
        reads = needs_of(self.reinforce, self.imitate) - {"rollouts", "demonstrations", "entropy"}
        spread = {"current_entropy"} if "entropy" in needs_of(self.reinforce, self.imitate) else set()
        return reads | spread | {"current_logp"}

    def __call__(self, step: TokenBatch) -> GateWeights:
        """Return both weights, the same for every row."""
        state = step.memory.get(repr(self))
        share = (self.advance(step, {}) if state is None else state)["mu"]
        imitate = torch.full(step.reward.shape, share, dtype=torch.float64, device=step.reward.device)
        return GateWeights(1.0 - imitate, imitate)

    def advance(self, step: TokenBatch, state: State) -> State:
        """Return μ, the averages it follows and the steps since they were measured."""
        measured = dict(state)
        measured["age"] = state.get("age", 0.0) + 1.0
        if "disagreement" not in state or measured["age"] >= self.every:
            for name, value in self._measure(step).items():
                past = state.get(name, value)
                measured[name] = self.smoothing * past + (1.0 - self.smoothing) * value
            measured["age"] = 0.0
        measured["mu"] = self._follow(measured, state.get("mu", self.start), self.prior(step.progress))
        return measured

    def _follow(self, measured: State, share: float, prior: float) -> float:
        disagreement, noise = measured["disagreement"], measured["reinforce_variance"]
        total = disagreement + noise + measured["imitate_variance"]
        optimum = (self.target * disagreement + noise) / total if total > 0.0 else self.target
        smooth = self.smoothing * share + (1.0 - self.smoothing) * optimum
        wanted = (1.0 - self.blend) * prior + self.blend * min(max(smooth, self.low), self.high)
        moved = share + min(max(wanted - share, -self.cap), self.cap)
        return min(max(moved, self.low), self.high)

    def _measure(self, step: TokenBatch) -> dict[str, float]:
        policy = PolicyTokens(step.require("current_logp", self), step.current_entropy)
        filled = step.response_mask.any(dim=1)
        rollouts, taught = filled & ~step.is_demonstration, filled & step.is_demonstration
        advantage = _row_mean(self.reinforce.advantage(step), step)
        surprise = _row_mean(-policy.logp, step).to(advantage.dtype)
        sampled = step.response_mask & ~step.is_demonstration[:, None]
        reinforced = _coefficients(self.reinforce, policy, dataclasses.replace(step, response_mask=sampled))
        imitated = _coefficients(self.imitate, policy, step)
        apart = _standardized(imitated, step.response_mask) - _standardized(reinforced, step.response_mask)
        disagreement = _row_mean(apart.square(), step)
        return {
            "reinforce_variance": _variance(advantage, rollouts),
            "imitate_variance": _variance(surprise, _trimmed(surprise, taught, self.trim)),
            "disagreement": moments(disagreement, filled).mean.item(),
        }


def _coefficients(
    estimator: PolicyGradient, policy: PolicyTokens, step: TokenBatch
) -> Float[Tensor, "batch token"]:
    """Return c_t of an estimator at the step's response tokens, 0 elsewhere."""
    advantage = estimator.advantage(step)
    stable = estimator.mask.plan(step, advantage) if isinstance(estimator.mask, Planned) else None
    plan = TermPlan(advantage, step.response_mask.to(advantage.dtype), stable)
    return estimator.coefficients(plan, policy, step).logp.to(advantage.dtype)


def _row_mean(values: Float[Tensor, "batch token"], step: TokenBatch) -> Float[Tensor, " batch"]:
    """Return the mean over each row's response tokens; 0 for an empty response."""
    kept = torch.where(step.response_mask, values, 0.0)
    return kept.sum(dim=1) / step.response_mask.sum(dim=1).clamp(min=1)


def _variance(values: Tensor, members: Bool[Tensor, "*shape"]) -> float:
    """Return the variance over the members, dividing by their number."""
    size = int(members.sum())
    return moments(values, members).variance.item() * (size - 1) / max(size, 1) if size > 1 else 0.0


def _standardized(
    values: Float[Tensor, "batch token"], members: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch token"]:
    """Return (x − mean) / std over the members; 0 where they are all equal."""
    mean = moments(values, members).mean
    spread = _variance(values, members) ** 0.5
    return torch.where(members, values - mean, 0.0) / (spread or 1.0)


def _trimmed(
    values: Float[Tensor, " batch"], members: Bool[Tensor, " batch"], share: float
) -> Bool[Tensor, " batch"]:
    """Return the members without a share of the lowest and of the highest; all of fewer than four."""
    size = int(members.sum())
    cut = int(size * share) if size >= 4 else 0
    order = torch.where(members, values, torch.inf).argsort(stable=True)
    return torch.zeros_like(members).index_fill(0, order[cut : size - cut], True)
