"""CHORD: GRPO and imitation mixed by a weight μ, on a schedule (μ), constant (φ), or adaptive (GAC).

Terms, weighted 1 − μ and μ:
  ClipMask · BehaviorPolicy · GroupRelative · TokenLikelihood on rollouts
  KeepAll or PhiMask · CurrentPolicy · Constant(1) · TokenLikelihood on demonstrations
each a mean over its own tokens.
See On-Policy RL Meets Off-Policy Experts, Zhang et al., 2025 (https://arxiv.org/abs/2508.11408), eq. 5-8.
Differs from the paper: demonstrations are those of the step's own questions, not a stream of their own.
"""

from algorithms.estimators import clipped
from core import (
    Algorithm,
    Constant,
    Cosine,
    CurrentPolicy,
    Demonstrations,
    Fixed,
    GacGate,
    Gate,
    KeepAll,
    Mask,
    PhiMask,
    PolicyGradient,
    Rollouts,
    ScheduleGate,
    Term,
    TokenLikelihood,
    TokenMean,
)


def _imitate(mask: Mask) -> PolicyGradient:
    return PolicyGradient(mask, CurrentPolicy(), Constant(1.0), TokenLikelihood())


def _mixed(name: str, mask: Mask, gate: Gate, clip: float) -> Algorithm:
    return Algorithm(
        name,
        terms=(
            Term("reinforce", clipped(clip, clip), Rollouts(gate), TokenMean()),
            Term("imitate", _imitate(mask), Demonstrations(gate), TokenMean()),
        ),
    )


def chord_mu(
    *, peak: float = 0.9, valley: float = 0.05, over: float = 0.4, warmup: float = 0.0, clip: float = 0.2
) -> Algorithm:
    """Compose CHORD-μ: μ falls from `peak` to `valley` along half a cosine.

    Args:
        peak: μ at the beginning.
        valley: μ from `over` on.
        over: Share of the run's steps after which the valley is reached (200 of the paper's 500).
        warmup: Share of the run's steps in which μ rises from 0 to its peak.
        clip: Distance of the ratio's bounds from 1.
    """
    return _mixed("chord_mu", KeepAll(), ScheduleGate(Cosine(peak, valley, over, warmup)), clip)


def chord_phi(*, mu: float = 0.1, clip: float = 0.2) -> Algorithm:
    """Compose CHORD-φ: a constant μ, and imitation weighted by φ = π_θ(1 − π_θ) of each token.

    Args:
        mu: μ, weight of imitation.
        clip: Distance of the ratio's bounds from 1.
    """
    return _mixed("chord_phi", PhiMask(), ScheduleGate(Fixed(mu)), clip)


def gac(
    *, start: float = 0.5, peak: float = 0.9, valley: float = 0.05, over: float = 0.4, clip: float = 0.2
) -> Algorithm:
    """Compose CHORD-φ with GAC's controller of μ in the schedule's place.

    Its gate measures the terms' own estimators, so a part is swapped in both: `--set
    'gac.imitate.mask=KeepAll()' 'gac.*.gate.imitate.mask=KeepAll()'`.

    See GAC, Hu et al., 2026 (https://arxiv.org/abs/2605.26184), for the controller.

    Args:
        start: μ before the first step.
        peak: μ of the controller's prior at the beginning.
        valley: μ of the prior from `over` on.
        over: Share of the run's steps after which the prior's valley is reached.
        clip: Distance of the ratio's bounds from 1.
    """
    prior = Cosine(peak, valley, over)
    gate = GacGate(clipped(clip, clip), _imitate(PhiMask()), start=start, prior=prior)
    return _mixed("gac", PhiMask(), gate, clip)
