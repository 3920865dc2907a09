"""The gate of HPT, hard or soft, with the weights that it mixes imitation and reinforcement by: a sweep.

A soft gate reinforces and imitates every question, more or less by how far its solve rate P lies above the
threshold γ:   α(P) = α σ((P − γ)/w),   β(P) = β (1 − σ((P − γ)/w)).   It becomes the hard gate as w → 0.
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), eq. 9-10 for the hard gate, sec. 2.3, which proposes
to weigh estimators, for the soft one; its shape is this project's own.
"""

import math
from typing import Literal

from algorithms.estimators import imitation, routed
from core import Algorithm, Demonstrations, TableGate, Term, ThresholdGate, TokenMean
from studies.study import Arm, Study
from studies.sweeping.sweep import Sweep

LEVELS = 8
"""Steps of the soft gate's table: it is exact at solve rates of 8 rollouts, and linear in between."""


def gate_mix(  # noqa: PLR0913  each is an axis of its own
    *,
    kind: Literal["hard", "soft"] = "hard",
    threshold: float = 0.0,
    width: float = 0.1,
    alpha: float = 1.0,
    beta: float = 1.0,
    entropy_weight: float = 0.0,
    length: int = 8192,
) -> Algorithm:
    """Compose HPT with a hard or a soft gate between reinforcement and imitation.

    Args:
        kind: Of the gate.
        threshold: γ; a hard gate imitates a question while its solve rate is at most this.
        width: w of a soft gate: the change of solve rate over which it turns from one to the other.
        alpha: α, weight of reinforced questions.
        beta: β, weight of imitated questions.
        entropy_weight: Weight of the entropy bonus over all trained rows.
        length: Constant that the policy's token sum over the whole step is divided by.
    """
    gate = ThresholdGate(threshold, alpha, beta) if kind == "hard" else _soft(threshold, width, alpha, beta)
    taught = (Term("imitate", imitation(), Demonstrations(gate), TokenMean()),)
    return routed("gate_mix", gate, taught, length, entropy_weight)


def _soft(threshold: float, width: float, alpha: float, beta: float) -> TableGate:
    if not width > 0:
        raise ValueError(f"width={width} must be above 0; kind='hard' is the gate without a width")
    shares = [_sigmoid((level / LEVELS - threshold) / width) for level in range(LEVELS + 1)]
    return TableGate(tuple(alpha * share for share in shares), tuple(beta * (1 - share) for share in shares))


def _sigmoid(place: float) -> float:
    return 0.5 * (1 + math.tanh(place / 2))  # exp would overflow far from the threshold


STUDY = Study(
    name="gate_mix",
    title="HPT with a hard or soft gate and mixing weights",
    arms=(Arm("gate_mix", gate_mix),),
    seeds=(0, 1, 2),
)
SWEEP = Sweep(
    axes=(
        "gate_mix.kind=choice(hard, soft)",
        "gate_mix.threshold=float(0, 0.9)",
        "gate_mix.width=float(0.03, 0.5, log) if gate_mix.kind=soft",
        "gate_mix.alpha=float(0.1, 3, log)",
        "gate_mix.beta=float(0.1, 3, log)",
        "train.optimizer.learning_rate=float(0.0001, 0.003, log)",
    ),
    trials=60,
)
