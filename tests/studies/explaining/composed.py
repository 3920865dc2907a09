"""Algorithms composed by hand, that tests explain."""

from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Constant,
    CurrentPolicy,
    Demonstrations,
    FixedLengthMean,
    GroupRelative,
    KeepAll,
    Outcome,
    PolicyGradient,
    Rollouts,
    SequenceMean,
    Term,
    TokenLikelihood,
    TokenMean,
)

CLIPPED = PolicyGradient(ClipMask(), BehaviorPolicy(), GroupRelative(), TokenLikelihood())
IMITATE = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())


def one(estimator, rows=None, aggregation=None, name="custom", **more):
    """Return an algorithm of one term."""
    rows, aggregation = rows or Rollouts(), aggregation or SequenceMean()
    return Algorithm(name, (Term("only", estimator, rows, aggregation, **more),))


def gradient_of(advantage, aggregation=None, **more):
    """Return REINFORCE with an advantage; a token sum, mean over rows, unless told otherwise."""
    estimator = PolicyGradient(KeepAll(), CurrentPolicy(), advantage, TokenLikelihood())
    return one(estimator, aggregation=aggregation or FixedLengthMean(1), **more)


def clipped(*, clip_low: float = 0.2, clip_high: float = 0.2, scale: float = 1.0) -> Algorithm:
    """GRPO by another name, times a factor."""
    mask = ClipMask(clip_low, clip_high)
    estimator = PolicyGradient(mask, BehaviorPolicy(), GroupRelative(), TokenLikelihood())
    return one(estimator, weight=scale)


def on_policy_twin() -> Algorithm:
    """GRPO without its ratio: the same as long as the ratio is 1."""
    return gradient_of(GroupRelative(), SequenceMean())


def ignoring(*, used: float = 1.0, unused: float = 0.5) -> Algorithm:
    """REINFORCE that leaves one of its arguments alone."""
    return gradient_of(Outcome(used, -1.0), TokenMean())


def imitating() -> Algorithm:
    """SFT by another name."""
    return one(IMITATE, Demonstrations(), TokenMean())
