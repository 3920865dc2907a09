"""What coefficients are said to be made of."""

import pytest

from algorithms import ALGORITHMS
from core import Failed, Mixed, Rollouts, Solved
from studies.explaining.coefficient import IDLE, formula
from studies.explaining.conditions import RELAXATIONS
from tests.studies.explaining.composed import CLIPPED, clipped, one

EVERYTHING = frozenset(RELAXATIONS)


@pytest.mark.parametrize(("algorithm", "term"), [
    (ALGORITHMS["hpt"](gate=1.0), 0),
    (ALGORITHMS["hpt"](gate=-1.0), 1),
    (ALGORITHMS["hpt"](sft_weight=0.0), 1),
    (ALGORITHMS["hpt_equations"](gate=1.0), 0),
    (ALGORITHMS["hpt_soft"](imitate=(0.0, 0.0)), 1),
    (ALGORITHMS["chord_phi"](mu=0.0), 1),
    (ALGORITHMS["chord_phi"](mu=1.0), 0),
    (ALGORITHMS["chord_mu"](peak=1.0, valley=1.0), 0),
    (ALGORITHMS["srft"](sft_weight=0.0), 0),
    (ALGORITHMS["uft"](hint_weight=0.0), 1),
    (ALGORITHMS["uft"](over=0.0), 1),
    (one(CLIPPED, Failed(Solved(Rollouts()))), 0),
    (clipped(scale=0.0), 0),
])  # fmt: skip
def test_a_term_without_a_token_is_said_to_train_none(algorithm, term):
    for relaxed in (frozenset(), EVERYTHING):
        assert formula(algorithm, term, 8, relaxed) == IDLE


def test_a_term_may_train_tokens_under_other_settings_alone():
    mixed = one(CLIPPED, Mixed(Rollouts()))
    assert formula(mixed, 0, 1, frozenset()) == IDLE
    assert formula(mixed, 0, 1, EVERYTHING) == "c_t = 1_stable · (π_θ/π_ref) · Â · 1 / (rows · |yᵢ|)"


def test_factors_that_are_1_are_left_out():
    assert formula(clipped(scale=0.5), 0, 8, frozenset()) == "c_t = 0.5 · Â · 1 / (rows · |yᵢ|)"
    assert formula(ALGORITHMS["sft"](), 0, 8, EVERYTHING) == "c_t = 1 / Σⱼ|yⱼ|"
