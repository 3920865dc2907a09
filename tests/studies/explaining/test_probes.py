"""Probes are what the trainer would hand over, and reach what the statements are about."""

import dataclasses

import pytest
import torch

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    AllOf,
    BehaviorPolicy,
    ClipMask,
    DemonstrationPrefix,
    Demonstrations,
    GroupRelative,
    PolicyGradient,
    RolloutPlan,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
    TruncatedImportance,
)
from studies.explaining.asking import Refused, ask
from studies.explaining.conditions import GRADED, LEARNT, RELAXATIONS, RESIZED, STALE, UNEVEN, Settings
from studies.explaining.probes import long_run, probes
from tests.studies.explaining.composed import CLIPPED, IMITATE, one

EVERYTHING = frozenset(RELAXATIONS)


def test_with_one_update_the_policy_is_the_behavior_policy_the_planned_one_and_its_own_critic():
    for probe in probes(8, frozenset()):
        assert torch.equal(probe.policy.logp, probe.step.behavior_logp)
        assert torch.equal(probe.policy.logp, probe.step.current_logp)
        assert torch.equal(probe.policy.value, probe.step.value)


@pytest.mark.parametrize("samples", [1, 2, 8, 16])
def test_under_the_settings_every_question_has_its_rollouts_and_one_demonstration(samples):
    for probe in probes(samples, frozenset()):
        step = probe.step
        for question in step.group.unique():
            asked = step.group == question
            assert int((asked & ~step.is_demonstration).sum()) == samples
            assert int((asked & step.is_demonstration).sum()) == 1
        assert set(step.reward.tolist()) <= {0.0, 1.0}
        assert step.token_reward is None


def test_every_number_of_solved_rollouts_occurs_in_every_step_and_questions_change_theirs():
    solved = []
    for probe in probes(8, frozenset()):
        step = probe.step
        rollout = ~step.is_demonstration
        found = {int(q): int(step.reward[rollout & (step.group == q)].sum()) for q in step.group.unique()}
        assert set(found.values()) == set(range(9))
        solved.append(found)
    assert all(len({found[question] for found in solved}) > 1 for question in solved[0])


@pytest.mark.parametrize(("low", "high"), [
    (0.0, 0.1), (0.75, 0.8), (0.8, 1.0), (1.0, 1.2), (1.2, 1.28), (3.0, 4.0), (4.0, 10.0), (10.0, 99.0),
])  # fmt: skip
@pytest.mark.parametrize("relaxed", [frozenset({STALE}), EVERYTHING])
def test_stale_ratios_of_rollouts_lie_between_all_usual_bounds_for_rewarded_and_other_rows(
    low, high, relaxed
):
    found = {True: 0, False: 0}
    for probe in probes(8, relaxed):
        ratio = (probe.policy.logp - probe.step.behavior_logp).exp()
        inside = (
            probe.step.response_mask & ~probe.step.is_demonstration[:, None] & (ratio > low) & (ratio < high)
        )
        for rewarded in found:
            found[rewarded] += int(inside[(probe.step.reward > 0.5) == rewarded].sum())
    assert min(found.values()) > 0


def test_relaxations_relax_what_they_say():
    (graded, *_), (uneven, *_), (learnt, *_) = (
        probes(8, frozenset({name})) for name in (GRADED, UNEVEN, LEARNT)
    )
    assert not set(graded.step.reward.tolist()) <= {0.0, 1.0}
    inside = torch.where(graded.step.response_mask, graded.step.token_reward, 0.0)
    torch.testing.assert_close(inside.sum(dim=1), graded.step.reward)
    rollouts = uneven.step.group[~uneven.step.is_demonstration]
    assert len(set(rollouts.unique(return_counts=True)[1].tolist())) > 3
    taught = uneven.step.group[uneven.step.is_demonstration]
    assert set(taught.unique(return_counts=True)[1].tolist()) == {1, 2}
    assert len(taught.unique()) < len(rollouts.unique())
    assert not torch.equal(learnt.policy.value, learnt.step.value)


def test_all_fields_are_there_and_every_policy_gives_probabilities():
    for probe in probes(8, EVERYTHING):
        for field in dataclasses.fields(probe.step):
            assert getattr(probe.step, field.name) is not None, field.name
        step = probe.step
        for logp in (step.behavior_logp, step.sampler_logp, step.reference_logp, step.current_logp):
            assert bool((logp <= 0).all())
        assert bool(step.prefix_mask.any())
        assert not bool((step.prefix_mask & step.is_demonstration[:, None]).any())


@pytest.mark.parametrize("run", [probes(8, frozenset()), long_run(8, frozenset())])
def test_a_run_begins_at_0_and_ends_at_1(run):
    progress = [probe.step.progress for probe in run]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)


def test_an_algorithm_sees_the_rows_and_fields_that_it_needs_and_no_others():
    probe = probes(8, EVERYTHING)[0]
    rollouts = Algorithm("a", (Term("a", CLIPPED, Rollouts(), TokenMean()),))
    demonstrations = Algorithm("b", (Term("b", IMITATE, Demonstrations(), TokenMean()),))
    found, taught = ask(rollouts, probe), ask(demonstrations, probe)
    assert not bool(found.step.is_demonstration.any())
    assert bool(taught.step.is_demonstration.all())
    assert found.step.behavior_logp is not None
    assert taught.step.behavior_logp is None
    assert found.step.prefix_mask is None


def test_several_updates_make_policy_and_critic_stale():
    assert Settings(8, 1).relaxed == frozenset()
    assert Settings(8, 2).relaxed == {STALE, LEARNT}


@pytest.mark.parametrize("run", [probes(8, frozenset({RESIZED})), long_run(8, frozenset({RESIZED}))[:5]])
def test_other_numbers_of_rollouts_are_the_same_for_all_questions_of_a_step(run):
    sizes = []
    for probe in run:
        counts = probe.step.group[~probe.step.is_demonstration].unique(return_counts=True)[1]
        sizes.append(int(counts[0]))
        assert bool((counts == counts[0]).all())
    assert min(sizes) == 1
    assert max(sizes) == 100
    assert 8 not in sizes


@pytest.mark.parametrize("samples", [1, 2, 8])
def test_a_long_run_asks_enough_questions_and_has_the_rollouts_of_the_settings(samples):
    for probe in long_run(samples, frozenset()):
        counts = probe.step.group[~probe.step.is_demonstration].unique(return_counts=True)[1]
        assert set(counts.tolist()) == {samples}
        assert len(counts) >= 12
        assert torch.equal(probe.policy.logp, probe.step.behavior_logp)


def test_prefixes_are_given_as_the_algorithm_asks():
    start, end = probes(4, frozenset())[0], probes(4, frozenset())[-1]
    uft, prefix_rft = ALGORITHMS["uft"](), ALGORITHMS["prefix_rft"]()
    assert bool(ask(uft, start).step.prefix_mask.any())
    assert not bool(ask(uft, end).step.prefix_mask.any())
    step = ask(prefix_rft, start).step
    begun = step.prefix_mask.any(dim=1)
    assert max(int(begun[step.group == question].sum()) for question in step.group.unique()) == 1
    assert ask(ALGORITHMS["grpo"](), start).step.prefix_mask is None


def test_the_rollout_engine_says_nothing_of_given_tokens():
    mask = AllOf((ClipMask(), TruncatedImportance()))
    estimator = PolicyGradient(mask, BehaviorPolicy(), GroupRelative(), TokenLikelihood())
    hinted = Algorithm("hinted", one(estimator).terms, ALGORITHMS["uft"]().rollouts)
    step = ask(hinted, probes(4, EVERYTHING)[0]).step
    assert bool((step.sampler_logp[step.prefix_mask] == 0).all())
    assert bool((step.sampler_logp[step.response_mask & ~step.prefix_mask] < 0).all())


def test_a_share_of_a_demonstration_outside_0_and_1_is_refused():
    prefix = DemonstrationPrefix(lambda draw, progress: 2.0 * draw)
    hinted = Algorithm("hinted", one(CLIPPED).terms, RolloutPlan(prefix=prefix))
    with pytest.raises(Refused, match="outside"):
        ask(hinted, probes(4, frozenset())[0])
