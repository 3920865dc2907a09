"""Reinforcement and imitation routed by one gate."""

from core import (
    Algorithm,
    Constant,
    CurrentPolicy,
    Demonstrations,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
)
from tests.core.batches import batch


def asked(*solved, total=4):
    """Return `total` rollouts and a demonstration of each question, of which so many are solved."""
    rewards = [reward for k in solved for reward in [1.0] * k + [0.0] * (total - k) + [1.0]]
    groups = [7 * question for question in range(len(solved)) for _ in range(total + 1)]
    return batch(rewards, groups, ([False] * total + [True]) * len(solved))


def hybrid(gate):
    """Return reinforcement and imitation, both routed by the gate."""
    reinforce = PolicyGradient(KeepAll(), CurrentPolicy(), GroupRelative(), TokenLikelihood())
    imitate = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())
    terms = (
        Term("reinforce", reinforce, Rollouts(gate), TokenMean()),
        Term("imitate", imitate, Demonstrations(gate), TokenMean()),
    )
    return Algorithm("hybrid", terms)
