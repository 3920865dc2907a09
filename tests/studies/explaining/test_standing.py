"""Under which conditions a statement is reported to hold."""

import torch

from studies.explaining.conditions import GRADED, LEARNT, RELAXATIONS, RESIZED, STALE, UNEVEN, Settings
from studies.explaining.standing import Standing, same, standing

ONCE, TWICE = Settings(8, 1), Settings(8, 2)


def test_what_always_holds_needs_no_condition():
    assert standing(lambda relaxed: True, ONCE) == Standing(True)
    assert standing(lambda relaxed: False, ONCE) == Standing(False)


def test_each_relaxation_that_breaks_a_statement_alone_is_a_condition():
    found = standing(lambda relaxed: not relaxed & {STALE, UNEVEN}, ONCE)
    assert found == Standing(True, (STALE, UNEVEN))


def test_relaxations_that_break_a_statement_only_together_are_conditions_and_no_others():
    found = standing(lambda relaxed: not {STALE, RESIZED} <= relaxed, ONCE)
    assert found == Standing(True, (STALE, RESIZED))


def test_a_condition_does_not_hide_others_that_break_a_statement_together():
    found = standing(lambda relaxed: GRADED not in relaxed and not {RESIZED, LEARNT} <= relaxed, ONCE)
    assert found == Standing(True, (GRADED, RESIZED, LEARNT))


def test_what_the_settings_relax_is_no_condition():
    assert standing(lambda relaxed: STALE in relaxed, TWICE) == Standing(True)
    assert not standing(lambda relaxed: STALE not in relaxed, TWICE).holds


def test_every_relaxation_is_told_as_a_condition_and_as_a_reason():
    for tell in (ONCE.condition, ONCE.reason):
        assert len({tell(name) for name in RELAXATIONS}) == len(RELAXATIONS)


def test_no_numbers_agree_with_no_numbers():
    nothing = torch.zeros(3, 0, 8)
    assert same(nothing, nothing)
    assert not same(nothing, torch.zeros(3, 1, 8))
