"""What each part of GRPO does, and what it does to the others: a factorial design of its five parts.

Two levels a part, GRPO's own and one other. Each rollout batch makes four updates: from the second on, policy
and behavior differ, or masks, denominators and likelihoods would have nothing to act on. Run are the 16 of 32
combinations in which an even number of parts is swapped, a half fraction of resolution V: no main effect or
interaction of two parts is aliased with another one, but each with an interaction of three or four parts
(Statistics for Experimenters, Box, Hunter and Hunter, 2005, ch. 6). 16 arms of three seeds tell more of each
effect than 32 of one.

None of the 32 combinations is refused. In half of them two parts cannot act: under CurrentPolicy every ratio
is 1, so that nothing is ever clipped, and a sequence's mean ratio has each token's gradient. The effects of
mask and likelihood are therefore half of what they are under BehaviorPolicy, and each shows again, with the
other sign, in its interaction with the denominator.
"""

import itertools
from collections.abc import Mapping

from core import (
    BehaviorPolicy,
    ClipMask,
    CurrentPolicy,
    GroupRelative,
    KeepAll,
    SequenceLikelihood,
    SequenceMean,
    TokenLikelihood,
    TokenMean,
)
from studies.scales.groups import by_scale
from studies.study import Arm, Study, Times

UPDATES = 4
"""Of each rollout batch. The scales make one (tiny) or two (the paper's) at their own learning rate: here it
is less by as much as the updates are more, as at the tiny scale's own all of these arms collapse."""

PARTS: Mapping[str, Mapping[str, object]] = {
    "reinforce.mask": {"clip": ClipMask(0.2), "keep": KeepAll()},
    "reinforce.denominator": {"behavior": BehaviorPolicy(), "current": CurrentPolicy()},
    "reinforce.advantage": {"std": GroupRelative(), "no std": GroupRelative(normalize_std=False)},
    "reinforce.likelihood": {"token": TokenLikelihood(), "sequence": SequenceLikelihood()},
    "reinforce.aggregation": {"mean of rows": SequenceMean(), "mean of tokens": TokenMean()},
}
"""The two levels of each part by a short name, GRPO's own first."""


def combinations(*, fraction: bool) -> tuple[Arm, ...]:
    """Return an arm for each combination of levels, or for the half in which evenly many are swapped."""
    arms = []
    for choice in itertools.product(*(levels.items() for levels in PARTS.values())):
        own = [next(iter(levels)) for levels in PARTS.values()]
        swapped = sum(name != original for (name, _), original in zip(choice, own, strict=True))
        if not fraction or swapped % 2 == 0:
            parts = {place: part for place, (_, part) in zip(PARTS, choice, strict=True)}
            arms.append(Arm(", ".join(name for name, _ in choice), "grpo", parts=parts))
    return tuple(arms)


STUDY = Study(
    name="ablation_components",
    title="GRPO's parts, each swapped for another: a half fraction of all combinations",
    arms=combinations(fraction=True),
    seeds=(0, 1, 2),
    baseline="clip, behavior, std, token, mean of rows",
    settings={"train.updates_per_step": UPDATES},
    scale_settings=by_scale(
        tiny={"train.optimizer.learning_rate": Times(1 / UPDATES)},
        paper={"train.optimizer.learning_rate": Times(2 / UPDATES)},
    ),
    sections=("scores", "effects", "differences", "dynamics"),
)
