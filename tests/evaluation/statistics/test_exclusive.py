import math

import numpy as np
import pytest
from scipy import stats

from evaluation.statistics.exclusive import exclusive_solves

# By level (only ours, only theirs, both, neither).
CELLS = {1: (1, 1, 5, 0), 2: (6, 0, 3, 2), 5: (9, 1, 0, 7)}


def arrays(cells):
    ours, theirs, levels = [], [], []
    for level, (first, second, both, neither) in cells.items():
        ours += [1.0] * first + [0.0] * second + [1.0] * both + [0.0] * neither
        theirs += [0.0] * first + [1.0] * second + [1.0] * both + [0.0] * neither
        levels += [level] * (first + second + both + neither)
    order = np.random.default_rng(0).permutation(len(levels))
    return np.array(ours)[order], np.array(theirs)[order], [levels[index] for index in order]


def test_exclusive_solves_are_counted_by_level():
    found = exclusive_solves(*arrays(CELLS))
    assert [row[:4] for row in found.levels] == [(1, 7, 1, 1), (2, 11, 6, 0), (5, 17, 9, 1)]
    assert found.overall[:4] == (None, 35, 16, 2)


def test_each_level_has_an_exact_test_corrected_for_their_number():
    found = exclusive_solves(*arrays(CELLS))
    # 2/2⁶ = .03125; 2 (1 + 10)/2¹⁰ = .021484; the smallest times 3, the next times 2.
    assert [row.p for row in found.levels] == pytest.approx([1.0, 0.03125, 22 / 1024])
    assert [row.p_holm for row in found.levels] == pytest.approx([1.0, 66 / 1024, 66 / 1024])
    assert found.overall.p == pytest.approx(stats.binomtest(2, 18).pvalue)
    assert math.isnan(found.overall.p_holm)


def test_two_levels_are_compared_by_fishers_exact_test():
    cells = {"easy": (2, 9, 1, 1), "hard": (8, 1, 1, 1)}
    found = exclusive_solves(*arrays(cells))
    assert found.p_levels_differ == pytest.approx(stats.fisher_exact([[2, 9], [8, 1]]).pvalue)


def test_several_levels_are_compared_by_random_tables_that_repeat():
    cells = {1: (2, 9, 1, 1), 2: (5, 5, 0, 0), 3: (9, 1, 1, 1), 4: (0, 0, 3, 3)}
    found = exclusive_solves(*arrays(cells))
    assert found.p_levels_differ == exclusive_solves(*arrays(cells)).p_levels_differ
    assert 0.001 < found.p_levels_differ < 0.02
    alike = exclusive_solves(*arrays({1: (4, 4, 1, 1), 2: (5, 5, 0, 0), 3: (3, 3, 1, 1)}))
    assert alike.p_levels_differ > 0.9


def test_one_level_has_nothing_to_be_compared_with():
    found = exclusive_solves(*arrays({1: (4, 2, 1, 1), 2: (0, 0, 5, 5)}))
    assert math.isnan(found.p_levels_differ)
    assert found.levels[1].p == 1.0


def test_questions_without_a_verdict_are_left_out():
    ours, theirs, levels = np.array([1.0, math.nan, 1.0]), np.array([0.0, 0.0, math.nan]), [1, 1, 1]
    assert exclusive_solves(ours, theirs, levels).levels[0][:4] == (1, 1, 1, 0)


def test_averages_and_other_questions_are_refused():
    with pytest.raises(ValueError, match="0 or 1"):
        exclusive_solves(np.array([0.5]), np.array([1.0]), [1])
    with pytest.raises(ValueError, match="2 and 2 questions and 1 levels"):
        exclusive_solves(np.ones(2), np.ones(2), [1])


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_where_one_side_has_all_exclusive_solves_every_level_has_the_same_share(levels):
    names = [name for name in range(levels) for _ in range(4)]
    ours, theirs = [1.0] * len(names), [0.0] * len(names)
    assert exclusive_solves(ours, theirs, names).p_levels_differ == 1.0
    assert exclusive_solves(theirs, ours, names).p_levels_differ == 1.0


def test_few_exclusive_solves_tell_nothing_of_the_levels():
    cells = {1: (1, 1, 3, 3), 2: (2, 0, 3, 3), 3: (1, 0, 3, 3)}
    assert exclusive_solves(*arrays(cells)).p_levels_differ == 1.0
