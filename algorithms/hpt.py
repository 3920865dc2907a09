"""Hybrid Post-Training: reinforce questions the policy can solve, imitate those it can't.

Terms, for questions above and at most the gate:
  KeepAll · BehaviorPolicy · GroupRelative(no std) · TokenLikelihood on rollouts
  KeepAll · CurrentPolicy · Constant(1) · TokenLikelihood on demonstrations
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 7-13.

The released code and the equations train different things, so each is a function of its own: `hpt` is the
code, `hpt_equations` the equations.
"""

from algorithms.estimators import clipped, imitation, routed
from core import (
    Algorithm,
    Demonstrations,
    QuestionMean,
    Rollouts,
    Term,
    ThresholdGate,
    TokenMean,
)


def hpt(
    *, gate: float = 0.0, sft_weight: float = 1.0, entropy_weight: float = 0.0, length: int = 8192
) -> Algorithm:
    """Compose HPT as the released code trains it: no clip, no std, a token sum over a constant.

    Differs from the paper: its eq. 11 clips the ratio, divides by the std and averages over rollouts, its
    eq. 12 over the tokens of each demonstration (`hpt_equations`); and it has no entropy bonus.
    Differs from the released code: the means over demonstration tokens and of the entropy are taken over the
    whole step, where the code takes one a micro-batch, so that their weight depends on how rows were packed;
    and the default `entropy_weight` is 0.0, where the code's is 0.001.

    Args:
        gate: γ; a question is imitated while its solve rate is at most this.
        sft_weight: β, weight of the imitated questions; the code's comment says 1.0 for 7B, 0.3 for 1.5B.
        entropy_weight: Weight of the entropy bonus over all trained rows; 0.001 in the released code.
        length: Constant that the policy's token sum over the whole step is divided by. The released code
            takes the longest response allowed on each rank and averages over ranks: ranks × 8192 tokens.
    """
    taught = Demonstrations(ThresholdGate(gate, imitate=sft_weight))
    imitate = Term("imitate", imitation(), taught, TokenMean())
    return routed("hpt", ThresholdGate(gate), (imitate,), length, entropy_weight)


def hpt_equations(*, gate: float = 0.0, sft_weight: float = 1.0, clip: float = 0.2) -> Algorithm:
    """Compose HPT as the paper's equations say: clip, std, and means over questions (eq. 11-13).

    Differs from the paper: its sec. 4.5 says that a question with one solved rollout of 8 stays on-policy at
    a gate of 1/8; by its eq. 10, and here, it is imitated. The objective is that of all questions of a step,
    where its alg. 1 goes question by question.
    Differs from the released code: that has neither clip nor std, other means and an entropy bonus (`hpt`).

    Args:
        gate: γ; a question is imitated while its solve rate is at most this.
        sft_weight: β, weight of the imitated questions.
        clip: ε, distance of the ratio's bounds from 1.
    """
    threshold = ThresholdGate(gate, imitate=sft_weight)
    reinforce = clipped(clip, clip)
    return Algorithm(
        "hpt_equations",
        terms=(
            Term("reinforce", reinforce, Rollouts(threshold), QuestionMean(within_row="sum")),
            Term("imitate", imitation(), Demonstrations(threshold), QuestionMean(within_row="mean")),
        ),
    )
