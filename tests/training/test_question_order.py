"""Which questions are asked, and when."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.question_order import questions_of_step, spread


def test_all_are_kept_where_no_number_is_wanted():
    assert spread(["a", "b"], [None, None], None) == ["a", "b"]


def test_more_than_there_are_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=r"train.questions=3 is more than the 2 of the training set"):
        spread(["a", "b"], [None, None], 3)


@given(st.data())
def test_a_part_has_the_wanted_number_in_order_and_levels_as_even_as_they_can_be(data):
    levels = data.draw(st.lists(st.sampled_from(["1", "2", "3", None]), min_size=1, max_size=60))
    wanted = data.draw(st.integers(0, len(levels)))
    kept = spread(range(len(levels)), levels, wanted)
    assert len(kept) == wanted
    assert kept == sorted(set(kept))
    have, taken = Counter(levels), Counter(levels[index] for index in kept)
    whole = [level for level in have if taken[level] == have[level]]
    partial = [taken[level] for level in have if level not in whole]
    # Levels that have questions left give equally many, and no other gives more.
    if partial:
        assert max(partial) - min(partial) <= 1
        assert all(taken[level] <= max(partial) + 1 for level in whole)


def test_a_level_is_spread_over_the_file():
    kept = spread(range(100), ["1"] * 100, 4)
    assert kept == [0, 25, 50, 75]


@given(count=st.integers(1, 40), per_step=st.integers(1, 12), seed=st.integers(0, 5))
def test_an_epoch_asks_every_question_once_but_for_less_than_a_step_of_them(count, per_step, seed):
    if per_step > count:
        return
    steps = count // per_step
    for epoch in range(2):
        asked = [
            question
            for step in range(epoch * steps, (epoch + 1) * steps)
            for question in questions_of_step(count, per_step, step, seed)
        ]
        assert len(asked) == len(set(asked)) == steps * per_step
        assert set(asked) <= set(range(count))


def test_epochs_and_seeds_have_orders_of_their_own_and_a_step_is_always_the_same():
    first, again = (questions_of_step(50, 50, 0, seed=3) for _ in range(2))
    assert first == again
    assert first != questions_of_step(50, 50, 1, seed=3)
    assert first != questions_of_step(50, 50, 0, seed=4)
    assert first != tuple(range(50))


def test_steps_cut_one_order_into_pieces():
    whole = questions_of_step(48, 48, 0, seed=3)
    assert sum((questions_of_step(48, 16, step, seed=3) for step in range(3)), ()) == whole
