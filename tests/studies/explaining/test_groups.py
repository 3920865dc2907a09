"""Which groups are reported to give a gradient."""

import pytest

from algorithms import ALGORITHMS
from core import (
    Algorithm,
    Constant,
    Cosine,
    CurrentPolicy,
    Demonstrations,
    EntropyBonus,
    Failed,
    KeepAll,
    Linear,
    PolicyGradient,
    Rollouts,
    ScheduleGate,
    SequenceMean,
    Solved,
    Term,
    ThresholdGate,
    TokenLikelihood,
    TokenMean,
    TotalReward,
    Whitened,
)
from studies.explaining.facts import explain
from studies.explaining.groups import find_groups
from studies.explaining.subject import find_subject
from tests.studies.explaining.composed import CLIPPED, IMITATE, clipped, gradient_of, one


def gated(threshold):
    """Return HPT's two terms with a threshold."""
    gate = ThresholdGate(threshold)
    reinforce = Term("reinforce", CLIPPED, Rollouts(gate), SequenceMean())
    imitate = Term("imitate", IMITATE, Demonstrations(gate), TokenMean())
    return Algorithm("gated", (reinforce, imitate))


@pytest.mark.parametrize(("threshold", "text"), [
    (-1.0, "0 of 8 solved: nothing; 1–7: rollouts; 8: nothing"),
    (0.0, "0 of 8 solved: demonstrations; 1–7: rollouts; 8: nothing"),
    (0.125, "0–1 of 8 solved: demonstrations; 2–7: rollouts; 8: nothing"),
    (0.25, "0–2 of 8 solved: demonstrations; 3–7: rollouts; 8: nothing"),
    (0.26, "0–2 of 8 solved: demonstrations; 3–7: rollouts; 8: nothing"),
    (1.0, "0–8 of 8 solved: demonstrations"),
])  # fmt: skip
def test_the_gate_of_hpt_routes_by_the_number_of_solved_rollouts(threshold, text):
    assert find_groups(gated(threshold), 8).text() == (text,)


@pytest.mark.parametrize(("samples", "text"), [
    (1, "0 of 1 solved: nothing; 1: rollouts"),
    (2, "0 of 2 solved: nothing; 1: rollouts; 2: nothing"),
    (4, "0 of 4 solved: nothing; 1–3: rollouts; 4: nothing"),
])  # fmt: skip
def test_groups_of_one_outcome_have_no_advantage_but_a_lone_rollout_has_its_reward(samples, text):
    assert find_groups(clipped(), samples).text() == (text,)


def test_other_groups_of_the_step_count_where_an_advantage_looks_at_them():
    whitened = gradient_of(Whitened(TotalReward(), over="rows"))
    assert find_groups(whitened, 4).text() == ("0–4 of 4 solved: rollouts",)


def test_rows_chosen_by_outcome_are_told():
    estimator = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())
    solved, failed = (one(estimator, rows(Rollouts())) for rows in (Solved, Failed))
    assert find_groups(solved, 4).text() == ("0 of 4 solved: nothing; 1–3: solved rollouts; 4: rollouts",)
    assert find_groups(failed, 4).text() == ("0 of 4 solved: rollouts; 1–3: failed rollouts; 4: nothing",)


def test_terms_on_both_kinds_of_rows_are_told_together():
    said = find_groups(ALGORITHMS["luffy"](), 8).text()
    assert said == ("0–7 of 8 solved: rollouts, demonstrations; 8: nothing",)


def test_a_bonus_does_not_hide_that_a_group_has_no_advantage():
    bonus = EntropyBonus(0.1, Rollouts(), TokenMean())
    said = find_groups(Algorithm("with", (*clipped().terms, bonus)), 8).text()
    assert said == ("0 of 8 solved: rollouts (entropy only); 1–7: rollouts; 8: rollouts (entropy only)",)


def test_what_changes_over_the_run_is_told_by_its_progress():
    schedule = ScheduleGate(Linear(1.0, 0.0))
    terms = (
        Term("reinforce", CLIPPED, Rollouts(schedule), SequenceMean()),
        Term("imitate", IMITATE, Demonstrations(schedule), TokenMean()),
    )
    said = find_groups(Algorithm("scheduled", terms), 2).text()
    assert said == (
        "at the start of the run: 0–2 of 2 solved: demonstrations",
        "after 50% of it: 0 of 2 solved: demonstrations; 1: rollouts, demonstrations; 2: demonstrations",
        "at its end: 0 of 2 solved: nothing; 1: rollouts; 2: nothing",
    )
    steady = one(IMITATE, Demonstrations(ScheduleGate(Cosine(0.9, 0.1))))
    assert find_groups(steady, 2).text() == ("0–2 of 2 solved: demonstrations",)


def test_the_reward_of_the_greedy_response_tells_which_groups_are_of_use():
    assert find_groups(ALGORITHMS["remax"](), 8).text() == (
        "greedy response failed: 0 of 8 solved: nothing; 1–7: solved rollouts; 8: rollouts",
        "greedy response solved: 0 of 8 solved: rollouts; 1–7: failed rollouts; 8: nothing",
    )


def test_a_hint_is_imitated_in_every_group():
    assert find_groups(ALGORITHMS["uft"](), 8).text() == (
        "at the start of the run and after 50% of it, rollouts with a prefix: 0 of 8 solved: prefixes of "
        "rollouts; 1–7: rollouts; 8: prefixes of rollouts",
        "at the start of the run and after 50% of it, rollouts without a prefix: 0 of 8 solved: nothing; "
        "1–7: rollouts; 8: nothing",
        "at its end: 0 of 8 solved: nothing; 1–7: rollouts; 8: nothing",
    )
    never = find_groups(ALGORITHMS["uft"](over=0.0), 8).text()
    assert never == ("0 of 8 solved: nothing; 1–7: rollouts; 8: nothing",)


def test_a_prefix_that_changes_no_group_is_not_told():
    assert find_groups(ALGORITHMS["prefix_rft"](), 4).text() == (
        "0 of 4 solved: nothing; 1–3: rollouts; 4: nothing",
    )


def test_groups_that_do_not_get_there_are_not_told():
    assert find_groups(one(IMITATE, Demonstrations()), 8, most=0.25).text() == (
        "0–2 of 8 solved: demonstrations",
    )


def test_side_steps_are_told_of_questions_that_failed():
    (stage,) = explain(find_subject("relift", "tiny", ["relift.gate=0.125"])).stages
    assert stage.groups == ("0 of 8 solved: nothing; 1–7: rollouts; 8: nothing",)
    assert stage.aside.groups == ("0–1 of 8 solved: demonstrations",)
