"""What would be computed otherwise than meant is refused when it is built, or does not matter."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from algorithms import ALGORITHMS
from core import (
    ActiveScaled,
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    ClippedReward,
    Constant,
    CurrentPolicy,
    Demonstrations,
    Fixed,
    GacGate,
    GroupRelative,
    HysteresisGate,
    KeepAll,
    KlPenalty,
    Outcome,
    PenalizedByKl,
    PolicyGradient,
    PrefixTokens,
    QuestionMean,
    Rollouts,
    SampledTokens,
    SequenceLikelihood,
    SequenceMean,
    Term,
    TokenBatch,
    TokenLikelihood,
    TokenMean,
    TotalReward,
    Whitened,
)
from tests.worlds import build_world, gradient, speak

PROJECT = Path(__file__).parents[2]
IMITATE = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())
REINFORCE = PolicyGradient(ClipMask(), BehaviorPolicy(), GroupRelative(), TokenLikelihood())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: GroupRelative("all"), "members"),
        (lambda: QuestionMean("means"), "within_row"),
        (lambda: Whitened(Constant(), over="token"), "over"),
        (lambda: Whitened(Constant(), rows="rollout"), "rows"),
        (lambda: Whitened(Constant(), epsilon_on="var"), "epsilon_on"),
        (lambda: ActiveScaled(Constant(), "mix"), "active"),
        (lambda: KlPenalty(1.0, Rollouts(), TokenMean(), "low_var_kl"), "estimator"),
        (lambda: KlPenalty(1.0, Rollouts(), TokenMean(), to="ref"), "to"),
    ],
)
def test_a_word_that_is_none_of_a_fields_is_refused(build, said):
    with pytest.raises(Exception, match=said):
        build()


def test_words_are_refused_without_type_checks_too():
    code = "from core import GroupRelative; GroupRelative('all')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert "ValueError: GroupRelative.members='all' must be 'rollouts' or 'rollouts_and_" in done.stderr


def test_an_advantage_that_reads_the_outcome_is_refused_where_rewards_were_changed_first():
    for build in (
        lambda: PenalizedByKl(Outcome(), 0.1),
        lambda: ClippedReward(Whitened(Outcome()), 0.0, 0.5),
    ):
        with pytest.raises(ValueError, match=r"Outcome.* compares the reward with 1"):
            build()


def test_only_sampled_tokens_are_charged_for_their_distance_from_the_reference(world):
    given = world.step.prefix_mask & world.step.response_mask
    moved = world.step_with(reference_logp=torch.where(given, -9.0, world.step.reference_logp))
    advantage = PenalizedByKl(TotalReward(), 0.1)
    assert torch.equal(advantage(world.step), advantage(moved.step))


@pytest.mark.parametrize("kind", [torch.int64, torch.bool])
def test_rewards_that_are_whole_numbers_are_refused_since_normalisers_would_round_to_nothing(kind):
    mask = torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(Exception, match="reward"):
        TokenBatch(mask, torch.zeros(2, dtype=torch.long), mask[:, 0], torch.tensor([1, 0]).to(kind))


def test_a_reward_that_is_no_number_does_not_matter_to_terms_that_leave_the_row_out(world):
    taught = world.step.is_demonstration
    unknown = world.step_with(reward=torch.where(taught, torch.nan, world.step.reward))
    algorithm = ALGORITHMS["grpo"]()
    assert torch.equal(gradient(algorithm, unknown), gradient(algorithm, world))


@pytest.mark.parametrize("part", [SequenceLikelihood(), TokenLikelihood()])
def test_tokens_that_a_term_leaves_out_get_no_gradient_and_enter_no_ratio(world, part):
    estimator = dataclasses.replace(REINFORCE, likelihood=part)
    term = Term("sampled", estimator, Rollouts(), SequenceMean(), tokens=SampledTokens())
    anchor = KlPenalty(0.5, Rollouts(), SequenceMean(), ratio=part, tokens=SampledTokens())
    given = world.step.prefix_mask & world.step.response_mask
    assert given.any()
    shifted = world.step_with(behavior_logp=torch.where(given, -9.0, world.step.behavior_logp))
    for each in (term, anchor):
        found = Algorithm("one", (each,))
        assert not gradient(found, world)[given].any()
        assert torch.equal(gradient(found, world), gradient(found, shifted))


def test_a_term_on_given_tokens_alone_gives_the_others_nothing(world):
    term = Term("given", IMITATE, Rollouts(), TokenMean(), tokens=PrefixTokens())
    found = gradient(Algorithm("given", (term,)), world).flatten(2).any(dim=2)
    assert torch.equal(found, world.step.prefix_mask & world.step.response_mask)


def prior(progress):
    return 0.5


def test_a_part_whose_memory_would_be_lost_between_processes_is_refused():
    gate = GacGate(REINFORCE, IMITATE, 0.5, prior)
    terms = (
        Term("a", REINFORCE, Rollouts(gate), TokenMean()),
        Term("b", IMITATE, Demonstrations(gate), TokenMean()),
    )
    with pytest.raises(
        ValueError, match="remembers is kept under that text, which is another in each process"
    ):
        Algorithm("mixed", terms)


def test_a_gate_of_several_terms_advances_once_a_step(monkeypatch):
    calls = []
    advance = HysteresisGate.advance
    monkeypatch.setattr(HysteresisGate, "advance", lambda *args: calls.append(1) or advance(*args))
    gate = HysteresisGate()
    terms = (
        Term("a", REINFORCE, Rollouts(gate), TokenMean()),
        Term("b", IMITATE, Demonstrations(gate), TokenMean()),
    )
    world = build_world()
    plan = Algorithm("gated", terms).plan(world.step)
    plan.coefficients(speak(world, world.logits), world.step)
    assert len(calls) == 1
    assert list(plan.memory) == [repr(gate)]


def test_a_gate_that_measures_another_estimator_than_its_term_trains_is_refused():
    gate = GacGate(REINFORCE, IMITATE, 0.5, Fixed(0.1))
    doubtful = dataclasses.replace(IMITATE, mask=ClipMask())
    sampled = Term("sampled", REINFORCE, Rollouts(gate), TokenMean())
    taught = Term("taught", doubtful, Demonstrations(gate), TokenMean())
    with pytest.raises(ValueError, match=r"term 'taught' trains PolicyGradient\(mask=Clip.*GacGate measures"):
        Algorithm("mixed", (sampled, taught))
    paired = dataclasses.replace(gate, imitate=doubtful)
    sampled, taught = (dataclasses.replace(term, rows=type(term.rows)(paired)) for term in (sampled, taught))
    Algorithm("mixed", (sampled, taught))


def test_without_weight_imitation_leaves_the_rows_of_the_entropy_bonus_alone(world):
    def entropies(weight):
        plan = ALGORITHMS["hpt"](gate=0.25, sft_weight=weight, entropy_weight=0.1).plan(world.step)
        spoken = dataclasses.replace(speak(world, world.logits), entropy=world.step.current_entropy)
        return plan.coefficients(spoken, world.step)[2].entropy

    assert entropies(1.0)[world.step.is_demonstration].any()
    assert torch.equal(entropies(0.0), entropies(1.0))
