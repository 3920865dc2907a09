import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import pytest

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Curriculum,
    DemonstrationPrefix,
    DynamicSampling,
    Fixed,
    GroupRelative,
    KeepAll,
    PolicyGradient,
    Precomputed,
    PrefixTokens,
    RolloutPlan,
    Rollouts,
    SideStep,
    Stage,
    Term,
    TokenLikelihood,
    TokenMean,
    UniformShare,
    check_provided,
)

ESTIMATOR = PolicyGradient(ClipMask(), BehaviorPolicy(), GroupRelative(), TokenLikelihood())
GIVEN = Term("given", ESTIMATOR, Rollouts(), TokenMean(), tokens=PrefixTokens())
PREFIX = DemonstrationPrefix(UniformShare(Fixed(0.5)))


@dataclass(frozen=True)
class Misspelt:
    needs: ClassVar[frozenset[str]] = frozenset({"behaviour_logp"})

    def __call__(self, ratio, advantage, policy, batch):
        return KeepAll()(ratio, advantage, policy, batch)


def algorithm(**parts):
    estimator = dataclasses.replace(ESTIMATOR, **parts)
    return Algorithm("one", (Term("reinforce", estimator, Rollouts(), TokenMean()),))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_training_provides_all_that_a_registered_algorithm_reads(name):
    check_provided(ALGORITHMS[name]())


@pytest.mark.parametrize(
    ("asking", "message"),
    [
        (algorithm(advantage=Precomputed()), "'one' reads advantage, which training does not provide"),
        (algorithm(mask=Misspelt()), "'one' reads behaviour_logp, .*; a part can read behavior_logp, "),
        (
            Algorithm("one", (GIVEN,)),
            r"trains on the tokens of prefixes.*rollouts.prefix=Demonstration",
        ),
        (
            dataclasses.replace(ALGORITHMS["sft"](), rollouts=RolloutPlan(dynamic=DynamicSampling(3))),
            r"'sft' has rollouts.dynamic=DynamicSampling\(rounds=3\), and none of its terms needs rollouts",
        ),
        (
            dataclasses.replace(ALGORITHMS["sft"](), rollouts=RolloutPlan(prefix=PREFIX)),
            r"'sft' has rollouts.prefix=.*use rollouts.prefix=None, or train on Rollouts",
        ),
    ],
)
def test_an_algorithm_that_asks_for_what_training_does_not_provide_is_refused(asking, message):
    staged = Curriculum("two", (Stage(ALGORITHMS["sft"](), 0.5), Stage(asking, 0.5)))
    sided = dataclasses.replace(ALGORITHMS["grpo"](), aside=SideStep(asking))
    for each in (asking, staged, sided):
        with pytest.raises(ValueError, match=message):
            check_provided(each)


def test_given_tokens_are_trained_where_rollouts_begin_with_them():
    check_provided(Algorithm("one", (GIVEN,), RolloutPlan(prefix=PREFIX)))
