"""Estimators, and a frame of terms, that several algorithms are made of."""

from core import (
    Algorithm,
    AnyOf,
    BehaviorPolicy,
    ClipMask,
    Constant,
    CurrentPolicy,
    Demonstrations,
    EntropyBonus,
    FixedLengthSum,
    Gate,
    GroupRelative,
    KeepAll,
    Mask,
    PolicyGradient,
    Rollouts,
    ShapedLikelihood,
    Term,
    TokenLikelihood,
    TokenMean,
    Unit,
)


def imitation() -> PolicyGradient:
    """Compose the estimator whose gradient is ∇ log π_θ of the response."""
    return PolicyGradient(KeepAll(), CurrentPolicy(), Constant(1.0), TokenLikelihood())


def group_relative(mask: Mask, *, normalize_std: bool = True) -> PolicyGradient:
    """Compose GRPO's estimator with a mask of choice."""
    advantage = GroupRelative(normalize_std=normalize_std)
    return PolicyGradient(mask, BehaviorPolicy(), advantage, TokenLikelihood())


def clipped(low: float, high: float, *, normalize_std: bool = True) -> PolicyGradient:
    """Compose GRPO's estimator: the clipped ratio to the behavior policy, the group's normalised reward."""
    return group_relative(ClipMask(low, high), normalize_std=normalize_std)


def off_policy(gamma: float, *, normalize_std: bool) -> PolicyGradient:
    """Compose LUFFY's estimator of demonstrations, which count as members of their group."""
    union = GroupRelative("rollouts_and_demonstrations", normalize_std=normalize_std)
    return PolicyGradient(KeepAll(), Unit(), union, ShapedLikelihood(gamma))


def routed(name: str, gate: Gate, taught: tuple[Term, ...], length: int, entropy_weight: float) -> Algorithm:
    """Compose HPT's frame: rollouts by the gate's α, what is taught by its β, and their entropy."""
    estimator = group_relative(KeepAll(), normalize_std=False)
    reinforce = Term("reinforce", estimator, Rollouts(gate), FixedLengthSum(length))
    trained = AnyOf((Rollouts(gate), Demonstrations(gate)))
    return Algorithm(name, terms=(reinforce, *taught, EntropyBonus(entropy_weight, trained, TokenMean())))
