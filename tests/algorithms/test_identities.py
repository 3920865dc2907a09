"""What algorithms become at the ends of their hyperparameters."""

import dataclasses

import pytest
import torch

from algorithms import ALGORITHMS
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
    GroupRelative,
    KeepAll,
    PolicyGradient,
    QuestionMean,
    Rollouts,
    Term,
    ThresholdGate,
    TokenLikelihood,
    TokenMean,
    solve_rate,
)
from tests.worlds import assert_same, build_world, gradient, speak

REINFORCE_WITHOUT_STD = PolicyGradient(
    KeepAll(), BehaviorPolicy(), GroupRelative(normalize_std=False), TokenLikelihood()
)
IMITATE = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())


def on_policy(world):
    """Return the world with rows that the policy itself sampled."""
    return world.step_with(behavior_logp=speak(world, world.logits).logp)


def test_hpt_with_a_gate_below_zero_is_its_reinforcement_term_alone(world):
    alone = Algorithm("alone", (Term("one", REINFORCE_WITHOUT_STD, Rollouts(), FixedLengthSum(6)),))
    assert_same(gradient(ALGORITHMS["hpt"](gate=-0.5, length=6), world), gradient(alone, world))


def test_hpt_with_a_gate_of_one_is_sft(world):
    assert_same(gradient(ALGORITHMS["hpt"](gate=1.0), world), gradient(ALGORITHMS["sft"](), world))


def test_hpt_without_entropy_weight_has_no_entropy_gradient_and_asks_for_none(world):
    algorithm = ALGORITHMS["hpt"]()
    policy = speak(world, world.logits)
    found = algorithm.plan(world.step).coefficients(policy, world.step)
    assert "entropy" not in algorithm.needs
    assert all(part.entropy is None or not part.entropy.any() for part in found)


def test_hpt_adds_the_entropy_of_exactly_the_rows_it_trains(world):
    routed = ThresholdGate(0.25)
    bonus = EntropyBonus(0.1, AnyOf((Rollouts(routed), Demonstrations(routed))), TokenMean(), name="more")
    arguments = {"gate": 0.25, "length": 6}
    without = ALGORITHMS["hpt"](**arguments)
    extended = Algorithm("extended", (*without.terms, bonus))
    assert_same(
        gradient(ALGORITHMS["hpt"](entropy_weight=0.1, **arguments), world), gradient(extended, world)
    )


def test_equations_with_a_gate_of_one_are_the_question_mean_of_the_demonstrations_likelihood(world):
    alone = Algorithm("alone", (Term("one", IMITATE, Demonstrations(), QuestionMean("mean")),))
    assert_same(gradient(ALGORITHMS["hpt_equations"](gate=1.0), world), gradient(alone, world))


def test_equations_with_a_gate_below_zero_are_clipped_reinforcement_alone(world):
    clipped = PolicyGradient(ClipMask(0.2, 0.2), BehaviorPolicy(), GroupRelative(), TokenLikelihood())
    alone = Algorithm("alone", (Term("one", clipped, Rollouts(), QuestionMean("sum")),))
    assert_same(gradient(ALGORITHMS["hpt_equations"](gate=-1.0), world), gradient(alone, world))


@pytest.mark.parametrize("name", ["hpt", "hpt_equations"])
def test_a_gated_algorithm_without_demonstrations_reinforces_only_what_the_gate_leaves(name, world):
    algorithm = ALGORITHMS[name](gate=0.25)
    rollouts = world.rows(torch.nonzero(~world.step.is_demonstration).flatten())
    found = gradient(algorithm, rollouts)
    above = solve_rate(rollouts.step) > 0.25
    assert not found[~above].any()
    reinforced = dataclasses.replace(algorithm, terms=algorithm.terms[:1])
    assert_same(found, gradient(reinforced, rollouts))


@pytest.mark.parametrize("name", ["hpt", "hpt_equations"])
def test_a_question_without_rollouts_cannot_be_gated(name, world):
    demonstrations = world.rows(torch.nonzero(world.step.is_demonstration).flatten())
    with pytest.raises(ValueError, match="question without rollouts has no solve rate"):
        ALGORITHMS[name]().plan(demonstrations.step)


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "hpt", "hpt_equations"])
def test_on_policy_rows_have_ratio_one_and_nothing_masked(name, world):
    world = on_policy(world)
    policy = speak(world, world.logits)
    found = ALGORITHMS[name]().plan(world.step).coefficients(policy, world.step)[0]
    mask = world.step.response_mask
    assert (found.ratio[mask] == 1.0).all()
    assert (found.stable[mask] == 1.0).all()


@pytest.mark.parametrize("name", ["grpo", "dr_grpo"])
def test_on_policy_the_width_of_the_clip_does_not_matter(name, world):
    narrow, wide = (
        ALGORITHMS[name](clip_low=0.0, clip_high=0.0),
        ALGORITHMS[name](clip_low=1.0, clip_high=9.0),
    )
    assert_same(gradient(narrow, on_policy(world)), gradient(wide, on_policy(world)))


def test_on_policy_the_behavior_and_the_current_policy_are_the_same_denominator(world):
    grpo = ALGORITHMS["grpo"]()
    term = grpo.terms[0]
    estimator = dataclasses.replace(term.estimator, denominator=CurrentPolicy())
    current = Algorithm("current", (dataclasses.replace(term, estimator=estimator),))
    assert_same(gradient(current, on_policy(world)), gradient(grpo, on_policy(world)))


def test_reinforce_with_failed_credit_zero_is_likelihood_of_the_solved_rollouts(world):
    found = gradient(ALGORITHMS["reinforce"](failed=0.0), world)
    solved = (world.step.reward == 1.0) & ~world.step.is_demonstration
    assert not found[~solved].any()
    assert found[solved].any()


def test_the_second_stage_of_sft_then_grpo_is_grpo_and_the_first_is_sft():
    curriculum = ALGORITHMS["sft_then_grpo"](sft_share=0.25, clip_low=0.1)
    assert [stage.algorithm for stage in curriculum.stages] == [
        ALGORITHMS["sft"](),
        ALGORITHMS["grpo"](clip_low=0.1),
    ]
    assert [stage.share for stage in curriculum.stages] == [0.25, 0.75]


@pytest.mark.parametrize(
    ("solved", "of"), [(0, 8), (1, 8), (2, 8), (1, 10), (3, 10), (7, 10), (1, 3), (8, 8)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["hpt", "hpt_equations"])
def test_a_solve_rate_that_equals_the_gate_is_imitated_and_one_more_solution_is_not(name, dtype, solved, of):
    def trained(solutions):
        rows = [(0, float(i < solutions), False) for i in range(of)] + [(0, 1.0, True)]
        world = build_world(tuple(rows), (3,) * len(rows), dtype)
        plan = ALGORITHMS[name](gate=solved / of).plan(world.step)
        return [bool((part.weight != 0).any()) for part in plan.plans[:2]]

    assert trained(solved) == [False, True]
    if solved < of:
        assert trained(solved + 1) == [True, False]
