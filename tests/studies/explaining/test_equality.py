"""Which algorithms are reported as the same, and under which conditions."""

import pytest

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    BehaviorPolicy,
    ClipMask,
    Constant,
    Cosine,
    Curriculum,
    Demonstrations,
    DualClipMask,
    Fixed,
    GroupRelative,
    HysteresisGate,
    KlPenalty,
    LeaveOneOut,
    Mixed,
    PolicyGradient,
    QuestionMean,
    Rollouts,
    ScheduleGate,
    SequenceMean,
    SideStep,
    Solved,
    Stage,
    Term,
    ThresholdGate,
    TokenLikelihood,
    TokenMean,
    TotalReward,
)
from studies.explaining.asking import Refused
from studies.explaining.conditions import GRADED, RESIZED, STALE, UNEVEN, Settings
from studies.explaining.equality import equals
from tests.studies.explaining.composed import (
    CLIPPED,
    IMITATE,
    clipped,
    gradient_of,
    imitating,
    on_policy_twin,
    one,
)

ONCE, TWICE = Settings(8, 1), Settings(8, 2)


def found(algorithm, settings=ONCE, arguments=None, skip=""):
    """Return what an algorithm equals, by name."""
    return {equal.name: equal for equal in equals(algorithm, arguments or {}, settings, {}, skip)}


def test_a_clone_is_always_the_same():
    grpo = found(clipped())["grpo"]
    assert grpo.conditions == ()
    assert grpo.around
    assert grpo.text(ONCE) == "grpo: always"


@pytest.mark.parametrize("scale", [1.0 + 1e-7, 0.5, -1.0])
def test_a_clone_times_a_factor_is_not_the_same(scale):
    assert "grpo" not in found(clipped(scale=scale))


def test_without_its_ratio_grpo_is_the_same_with_one_update_only():
    equal = found(on_policy_twin())["grpo"]
    assert equal.conditions == (STALE,)
    assert equal.text(ONCE) == "grpo: under these settings (one update per rollout batch)"
    assert "grpo" not in found(on_policy_twin(), TWICE)


def test_another_bound_on_the_ratio_is_not_always_the_same():
    wider = one(PolicyGradient(ClipMask(0.2, 0.25), BehaviorPolicy(), GroupRelative(), TokenLikelihood()))
    assert found(wider)["grpo"].conditions == (STALE,)
    assert "grpo" not in found(wider, TWICE)
    dual = one(PolicyGradient(DualClipMask(dual=3.0), BehaviorPolicy(), GroupRelative(), TokenLikelihood()))
    assert found(dual)["grpo_dual_clip"].conditions == ()
    assert found(dual)["grpo_two_sided_clip"].conditions == (STALE,)


def test_shared_arguments_are_passed_by_name():
    narrow = clipped(clip_low=0.1, clip_high=0.3)
    equal = found(narrow, arguments={"clip_low": 0.1, "clip_high": 0.3, "scale": 1.0})["grpo"]
    assert equal.conditions == ()
    assert equal.text(ONCE) == "grpo(clip_low=0.1, clip_high=0.3): always"
    assert found(narrow)["grpo"].conditions == (STALE,)


def test_arguments_at_their_defaults_are_not_named():
    equal = found(clipped(clip_high=0.3), arguments={"clip_low": 0.2, "clip_high": 0.3})["grpo"]
    assert equal.arguments == (("clip_high", 0.3),)


def test_the_scale_gives_the_others_their_arguments():
    longer = ALGORITHMS["dr_grpo"](length=52)
    assert not [e for e in equals(longer, {}, TWICE, {}) if e.name == "dr_grpo"]
    assert [e.name for e in equals(longer, {}, TWICE, {"dr_grpo": {"length": 52}})] == ["dr_grpo"]


def test_an_algorithm_is_not_compared_with_itself_but_with_its_defaults():
    assert "grpo" not in found(ALGORITHMS["grpo"](), skip="grpo")
    changed = ALGORITHMS["grpo"](clip_low=0.1)
    assert found(changed, arguments={"clip_low": 0.1}, skip="grpo")["grpo"].conditions == (STALE,)


def test_imitation_does_not_care_for_the_behavior_policy():
    assert found(imitating(), TWICE)["sft"].conditions == ()
    assert found(imitating())["psft"].conditions == (STALE,)
    assert "psft" not in found(imitating(), TWICE)


def test_hpt_that_imitates_every_question_is_sft():
    equal = found(ALGORITHMS["hpt"](gate=1.0))["sft"]
    assert equal.conditions == ()


def test_equal_groups_make_a_mean_over_questions_one_over_rows():
    equal = found(one(CLIPPED, aggregation=QuestionMean("mean")))["grpo"]
    assert equal.conditions == (UNEVEN,)
    assert "(as many rollouts and one demonstration of every question)" in equal.text(ONCE)


def test_rewards_of_0_and_1_make_an_outcome_the_reward():
    outcome = gradient_of(TotalReward(), SequenceMean())
    solved_only = {"reinforce": {"failed": 0.0}}
    (equal,) = [e for e in equals(outcome, {}, TWICE, solved_only) if e.name == "reinforce"]
    assert equal.conditions == (GRADED,)
    assert "rewards of 0 and 1" in equal.text(TWICE)


def test_leaving_oneself_out_is_a_factor_away_from_the_group_mean():
    plain = gradient_of(GroupRelative(normalize_std=False), QuestionMean("sum"))
    scaled = gradient_of(GroupRelative(normalize_std=False), QuestionMean("sum"), weight=8 / 7)
    out = gradient_of(LeaveOneOut(), QuestionMean("sum"), name="rloo_like")
    assert not _same(plain, out)
    assert _same(scaled, out)
    assert not _same(scaled, out, UNEVEN)


def _same(first, second, *relaxed):
    from studies.explaining.behavior import behavior
    from studies.explaining.standing import same_coefficients

    return same_coefficients(*(behavior(each, 8, frozenset(relaxed)) for each in (first, second)))


@pytest.mark.parametrize(("gate", "other", "same"), [
    (HysteresisGate(0.25, 0.25), ThresholdGate(0.25), True),
    (HysteresisGate(0.0, 0.25), ThresholdGate(0.0), False),
    (ScheduleGate(Fixed(0.3)), ScheduleGate(Cosine(0.3, 0.3)), True),
    (ScheduleGate(Fixed(0.3)), ScheduleGate(Cosine(0.3, 0.2999)), False),
    (ScheduleGate(Cosine(0.3, 0.3, warmup=0.02)), ScheduleGate(Fixed(0.3)), False),
])  # fmt: skip
def test_memory_and_progress_tell_gates_apart(gate, other, same):
    first, second = (one(IMITATE, Demonstrations(each), TokenMean()) for each in (gate, other))
    assert _same(first, second) == same


def test_a_side_step_is_told_but_does_not_count():
    main = clipped()
    beside = Algorithm("beside", main.terms, aside=SideStep(imitating()))
    equal = found(beside, TWICE)["grpo"]
    assert not equal.around
    assert equal.text(TWICE) == "grpo: always, but for what it asks of rollouts and side steps"


def test_dynamic_sampling_is_told():
    dapo = found(one(ALGORITHMS["dapo"]().terms[0].estimator, Mixed(Rollouts()), TokenMean()), TWICE)
    assert "dapo" not in dapo or not dapo["dapo"].around


def test_curricula_are_compared_stage_by_stage():
    stages = (Stage(imitating(), 0.5), Stage(clipped(), 0.5))
    assert found(Curriculum("mine", stages))["sft_then_grpo"].conditions == ()
    later = (Stage(imitating(), 0.25), Stage(clipped(), 0.75))
    assert not found(Curriculum("mine", later))["sft_then_grpo"].around
    assert "sft_then_grpo" not in found(Curriculum("mine", stages[::-1]))


def test_a_penalty_of_any_weight_is_noticed():
    kl = KlPenalty(1e-6, Rollouts(), SequenceMean())
    assert "grpo" not in found(Algorithm("penalised", (*clipped().terms, kl)))


def test_solved_rows_alone_are_not_all_rows():
    estimator = PolicyGradient(ClipMask(), BehaviorPolicy(), Constant(), TokenLikelihood())
    assert not found(one(estimator, Solved(Rollouts())))


def test_terms_are_compared_by_their_sum():
    half = tuple(Term(name, CLIPPED, Rollouts(), SequenceMean(), 0.5) for name in ("one", "two"))
    assert found(Algorithm("halves", half))["grpo"].conditions == ()


@pytest.mark.parametrize("gate", [0.1, 0.01])
def test_a_gate_that_acts_with_more_rollouts_is_not_always_the_same(gate):
    gated = ALGORITHMS["hpt_equations"](gate=gate)
    equal = found(gated, skip="hpt_equations")["hpt_equations"]
    assert equal.conditions == (RESIZED,)
    assert equal.text(ONCE) == "hpt_equations: under these settings (8 rollouts of a question)"


def test_rollouts_of_the_settings_may_be_too_many_to_be_the_same():
    assert "hpt_equations" not in found(ALGORITHMS["hpt_equations"](gate=0.1), Settings(16, 1))


def test_a_factor_that_makes_up_for_the_own_share_does_so_for_one_number_of_rollouts():
    scaled = gradient_of(GroupRelative(normalize_std=False), weight=8 / 7)
    assert set(found(scaled)["rloo"].conditions) == {RESIZED, UNEVEN}


def test_a_lone_rollout_without_a_negative_advantage_is_clipped_above_alone():
    dual = found(clipped(), Settings(1, 1))["grpo_dual_clip"]
    assert dual.conditions == (STALE, RESIZED)


def test_an_algorithm_that_refuses_a_step_is_no_equal():
    # A peak of 2 is good for the prior of a controller, and not for the share of imitation itself.
    gac = ALGORITHMS["gac"](peak=2.0)
    assert "chord_mu" not in found(gac, arguments={"peak": 2.0})


def test_errors_of_the_explained_algorithm_are_its_own():
    with pytest.raises(Refused, match="μ=2"):
        found(ALGORITHMS["chord_mu"](peak=2.0))


@pytest.mark.slow
def test_a_controller_is_compared_all_along_a_run():
    assert "gac" not in found(ALGORITHMS["gac"](peak=2.0), skip="gac")


def test_a_prefix_that_is_never_given_makes_no_difference():
    equal = found(ALGORITHMS["uft"](over=0.0))["grpo"]
    assert equal.conditions == ()
    assert not equal.around
    assert "grpo" not in found(ALGORITHMS["uft"]())
