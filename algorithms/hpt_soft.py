"""HPT with a soft gate: every question is both reinforced and imitated, by its solve rate.

Terms as HPT's; α and β are read from a table over the solve rate instead of switched at a threshold.
See Lv et al., 2025 (https://arxiv.org/abs/2509.04419), sec. 2.3, which proposes weighting estimators.
Differs from the paper: it only proposes to weigh estimators; the default tables are this project's own.
Differs from the released code: its `soft` strategy computes such weights from other tables and never uses
them.
"""

from collections.abc import Sequence

from algorithms.estimators import imitation, routed
from core import (
    Algorithm,
    Demonstrations,
    TableGate,
    Term,
    TokenMean,
)


def hpt_soft(
    *,
    reinforce: Sequence[float] = (0.0, 1.0),
    imitate: Sequence[float] = (1.0, 0.0),
    entropy_weight: float = 0.0,
    length: int = 8192,
) -> Algorithm:
    """Compose HPT with tables for α and β; the defaults are α = P and β = 1 − P.

    Args:
        reinforce: α at solve rates 0, 1/n, …, 1, linear in between.
        imitate: β at solve rates 0, 1/n, …, 1, linear in between.
        entropy_weight: Weight of the entropy bonus over all trained rows.
        length: Constant that the policy's token sum over the whole step is divided by.
    """
    gate = TableGate(tuple(reinforce), tuple(imitate))
    taught = (Term("imitate", imitation(), Demonstrations(gate), TokenMean()),)
    return routed("hpt_soft", gate, taught, length, entropy_weight)
