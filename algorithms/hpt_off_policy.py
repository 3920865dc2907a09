"""HPT with off-policy gradients in imitation's place (OFF/ON) or beside it (Mix/ON).

Terms as HPT's, but that questions at most the gate train their demonstrations by
  KeepAll · Unit · TotalReward · ShapedLikelihood
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), sec. 4.4 and table 5. No script of these experiments
was released; the compositions are those of the code's two branches.
Differs from the paper: no clip and no std of the rollouts, and token sums over a constant, as in the code.
Differs from the released code: the mean of the entropy is taken over the whole step, where the code takes one
a micro-batch; and the default `entropy_weight` is 0.0, where the code's is 0.001.
"""

from algorithms.estimators import imitation, routed
from core import (
    Algorithm,
    Demonstrations,
    FixedLengthSum,
    KeepAll,
    PolicyGradient,
    RowWeight,
    ShapedLikelihood,
    Term,
    ThresholdGate,
    TokenMean,
    TotalReward,
    Unit,
)


def _off_policy(gamma: float, rows: RowWeight, length: int, weight: float = 1.0) -> Term:
    # Its rollouts are dropped, so that a demonstration is alone in its group: its reward is its advantage.
    estimator = PolicyGradient(KeepAll(), Unit(), TotalReward(), ShapedLikelihood(gamma))
    return Term("off_policy", estimator, rows, FixedLengthSum(length), weight)


def hpt_off_on(
    *, gate: float = 0.0, gamma: float = 0.1, entropy_weight: float = 0.0, length: int = 8192
) -> Algorithm:
    """Compose HPT with LUFFY's off-policy gradient in imitation's place.

    Args:
        gate: γ of HPT; demonstrations are trained while the question's solve rate is at most this.
        gamma: γ of the shaped likelihood π/(π + γ).
        entropy_weight: Weight of the entropy bonus over all trained rows; 0.001 in the released code.
        length: Constant that the policy's token sum over the whole step is divided by.
    """
    threshold = ThresholdGate(gate)
    taught = (_off_policy(gamma, Demonstrations(threshold), length),)
    return routed("hpt_off_on", threshold, taught, length, entropy_weight)


def hpt_mix_on(
    *,
    gate: float = 0.0,
    sft_weight: float = 0.1,
    off_weight: float = 1.0,
    gamma: float = 0.1,
    entropy_weight: float = 0.0,
    length: int = 8192,
) -> Algorithm:
    """Compose HPT with imitation and LUFFY's off-policy gradient of the same demonstrations.

    Differs from the released code: the mean over demonstration tokens is taken over the whole step too.

    Args:
        gate: γ of HPT; demonstrations are trained while the question's solve rate is at most this.
        sft_weight: Weight of imitation.
        off_weight: Weight of the off-policy gradient.
        gamma: γ of the shaped likelihood π/(π + γ).
        entropy_weight: Weight of the entropy bonus over all trained rows; 0.001 in the released code.
        length: Constant that the policy's token sum over the whole step is divided by.
    """
    threshold = ThresholdGate(gate)
    rows = Demonstrations(threshold)
    imitate = Term("imitate", imitation(), rows, TokenMean(), sft_weight)
    taught = (imitate, _off_policy(gamma, rows, length, off_weight))
    return routed("hpt_mix_on", threshold, taught, length, entropy_weight)
