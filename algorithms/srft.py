"""SRFT: imitation, off-policy and on-policy gradients at once, weighted by how uncertain the policy is.

Terms, with w = scale · exp(± mean token entropy of the row):
  imitation of demonstrations, w = 0.5 · exp(−H)
  off-policy gradient of demonstrations, π_ref = 1
  log-likelihood of solved rollouts, w = 0.1 · exp(+H), and its negative of failed ones, weight 1
See SRFT, Fu et al., 2025 (https://arxiv.org/abs/2506.19767); Lv et al., 2025
(https://arxiv.org/abs/2509.04419), app. A.3.
Differs from the paper: `srft` shapes π_ref = 1 and does not divide Â by the std, where table 1 of Lv et al.
does the opposite; `srft_equations` follows the table.
Differs from Lv et al.'s code: a group is all rollouts of the question and its demonstration, where the code
replaces one of the eight rollouts by the demonstration; means are taken over the whole step, where the code
takes one a micro-batch; and `srft`'s default `entropy_weight` is 0.0, where the code's is 0.001.
Differs from the authors' code: followed is the re-implementation of Lv et al., not the code of Fu et al.,
which reportedly weighs imitation by exp(+H), against its own paper's exp(−H), with the entropy of each token;
told at second hand, and not checked here.

The code of Lv et al. and their equations differ, so each is a function of its own: `srft` is the code,
`srft_equations` the equations.
"""

from algorithms.estimators import imitation, off_policy
from core import (
    Algorithm,
    AnyOf,
    Constant,
    CurrentPolicy,
    Demonstrations,
    EntropyBonus,
    EntropyWeighted,
    Failed,
    FixedLengthSum,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    Solved,
    Term,
    TokenLikelihood,
    TokenMean,
    Unit,
)


def _discourage() -> PolicyGradient:
    """Compose the estimator whose gradient is −∇ log π_θ of the response."""
    return PolicyGradient(KeepAll(), CurrentPolicy(), Constant(-1.0), TokenLikelihood())


def srft(
    *,
    sft_weight: float = 0.5,
    positive_weight: float = 0.1,
    gamma: float = 0.1,
    entropy_weight: float = 0.0,
    length: int = 8192,
) -> Algorithm:
    """Compose SRFT as the code of Lv et al. trains it: a shaped likelihood, no std, sums over a constant.

    Args:
        sft_weight: Factor of exp(−H) in the weight of imitation.
        positive_weight: Factor of exp(+H) in the weight of solved rollouts.
        gamma: γ of the shaped likelihood π/(π + γ) of demonstrations.
        entropy_weight: Weight of the entropy bonus over all rows; 0.001 in the released code.
        length: Constant that the policy's token sum over the whole step is divided by.
    """
    solved = EntropyWeighted(Solved(Rollouts()), positive_weight, sign=1.0)
    imitated = EntropyWeighted(Demonstrations(), sft_weight, sign=-1.0)
    guided, total = off_policy(gamma, normalize_std=False), FixedLengthSum(length)
    return Algorithm(
        "srft",
        terms=(
            Term("imitate", imitation(), imitated, TokenMean()),
            Term("off_policy", guided, Demonstrations(), total),
            Term("solved", imitation(), solved, total),
            Term("failed", _discourage(), Failed(Rollouts()), total),
            EntropyBonus(entropy_weight, AnyOf((Rollouts(), Demonstrations())), TokenMean()),
        ),
    )


def srft_equations(*, sft_weight: float = 0.5, positive_weight: float = 0.1) -> Algorithm:
    """Compose SRFT as Lv et al. write it: π_ref = 1 unshaped, Â with std, means over rows of token means.

    Differs from Lv et al.'s code: that shapes the likelihood, does not divide by the std and sums over a
    constant (`srft`).

    Args:
        sft_weight: Factor of exp(−H) in the weight of imitation.
        positive_weight: Factor of exp(+H) in the weight of solved rollouts.
    """
    union = GroupRelative("rollouts_and_demonstrations")
    guided = PolicyGradient(KeepAll(), Unit(), union, TokenLikelihood())
    solved = EntropyWeighted(Solved(Rollouts()), positive_weight, sign=1.0)
    imitated = EntropyWeighted(Demonstrations(), sft_weight, sign=-1.0)
    return Algorithm(
        "srft_equations",
        terms=(
            Term("imitate", imitation(), imitated, SequenceMean()),
            Term("off_policy", guided, Demonstrations(), SequenceMean()),
            Term("solved", imitation(), solved, SequenceMean()),
            Term("failed", _discourage(), Failed(Rollouts()), SequenceMean()),
        ),
    )
