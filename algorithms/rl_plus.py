"""RL-PLUS: demonstrations as external data, with a mixed denominator and a bonus for unlikely tokens.

Terms, Â over the group's rollouts and demonstrations together:
  KeepAll · BehaviorPolicy · GroupRelative(union) · TokenLikelihood on rollouts
  ExplorationMask · MixedBehavior · GroupRelative(union) · TokenLikelihood on demonstrations
See RL-PLUS, Dong et al., 2025 (https://arxiv.org/abs/2508.00222).
Differs from the released code: its uniform part has mass 1 instead of 1/vocabulary (`vocabulary=1` repeats
that), and it takes no std, a token sum over a constant and an entropy bonus.
"""

from core import (
    Algorithm,
    BehaviorPolicy,
    Demonstrations,
    ExplorationMask,
    GroupRelative,
    KeepAll,
    MixedBehavior,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    Term,
    TokenLikelihood,
)


def rl_plus(*, power: float = 0.5, vocabulary: int = 151_936) -> Algorithm:
    """Compose RL-PLUS.

    Args:
        power: γ of the exploration weight (1 − π_θ)^γ.
        vocabulary: Number of tokens that the uniform part of the denominator is spread over.
    """
    union = GroupRelative("rollouts_and_demonstrations")
    reinforce = PolicyGradient(KeepAll(), BehaviorPolicy(), union, TokenLikelihood())
    explore = PolicyGradient(ExplorationMask(power), MixedBehavior(vocabulary), union, TokenLikelihood())
    return Algorithm(
        "rl_plus",
        terms=(
            Term("reinforce", reinforce, Rollouts(), SequenceMean()),
            Term("explore", explore, Demonstrations(), SequenceMean()),
        ),
    )
