"""LUFFY: demonstrations join the group as off-policy rows, their likelihood shaped to favor rare tokens.

Terms, Â over the group's rollouts and demonstrations together:
  KeepAll · BehaviorPolicy · GroupRelative(union, no std) · TokenLikelihood on rollouts
  KeepAll · Unit · GroupRelative(union, no std) · ShapedLikelihood on demonstrations
See Learning to Reason under Off-Policy Guidance, Yan et al., 2025 (https://arxiv.org/abs/2504.14945),
eq. 5-8.
Differs from the paper: no clip, no std, and a token sum over a constant, as its released code trains.
Differs from the released code: a group is all rollouts of the question and its demonstration, where the code
replaces one of the eight rollouts by the demonstration; and the default `entropy_weight` is 0.0, where the
code's is 0.001.
"""

from algorithms.estimators import off_policy
from core import (
    Algorithm,
    AnyOf,
    BehaviorPolicy,
    Demonstrations,
    EntropyBonus,
    FixedLengthSum,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
)


def luffy(
    *,
    gamma: float = 0.1,
    normalize_std: bool = False,
    entropy_weight: float = 0.0,
    length: int = 8192,
) -> Algorithm:
    """Compose LUFFY.

    Args:
        gamma: γ of the shaped likelihood π/(π + γ).
        normalize_std: Divide advantages by the group's standard deviation.
        entropy_weight: Weight of the entropy bonus over all rows; 0.001 in the released code.
        length: Constant that the policy's token sum over the whole step is divided by.
    """
    union = GroupRelative("rollouts_and_demonstrations", normalize_std=normalize_std)
    reinforce = PolicyGradient(KeepAll(), BehaviorPolicy(), union, TokenLikelihood())
    guided = off_policy(gamma, normalize_std=normalize_std)
    everything = AnyOf((Rollouts(), Demonstrations()))
    return Algorithm(
        "luffy",
        terms=(
            Term("reinforce", reinforce, Rollouts(), FixedLengthSum(length)),
            Term("off_policy", guided, Demonstrations(), FixedLengthSum(length)),
            EntropyBonus(entropy_weight, everything, TokenMean()),
        ),
    )
