import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import Cosine, Fixed, Linear
from core.protocols import Schedule

SHARES = st.floats(0.0, 1.0)


def test_a_fixed_number_never_changes():
    assert [Fixed(0.3)(progress) for progress in (0.0, 0.5, 1.0)] == [0.3] * 3


@pytest.mark.parametrize(
    ("progress", "value"), [(0.0, 2.0), (0.125, 1.5), (0.25, 1.0), (0.5, 0.0), (0.75, 0.0), (1.0, 0.0)]
)
def test_a_line_reaches_its_end_early_and_stays(progress, value):
    assert Linear(2.0, 0.0, over=0.5)(progress) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(
    ("progress", "value"),
    [
        (0.0, 0.0),  # a warm-up over the first fifth, from 0 …
        (0.1, 0.45),
        (0.2, 0.9),  # … to the start
        (0.4, 0.1 + 0.4 * (1 + math.cos(math.pi / 3))),
        (0.5, 0.5),
        (0.8, 0.1),
        (1.0, 0.1),
    ],
)
def test_half_a_cosine_after_a_warm_up(progress, value):
    assert Cosine(0.9, 0.1, over=0.8, warmup=0.2)(progress) == pytest.approx(value, abs=1e-15)


@given(SHARES, SHARES, SHARES, SHARES)
def test_a_cosine_falls_from_its_start_to_its_end_and_never_beyond(start, end, first, second):
    schedule = Cosine(start, end)
    low, high = sorted((start, end))
    values = [schedule(progress) for progress in sorted((first, second))]
    assert all(low - 1e-12 <= value <= high + 1e-12 for value in values)
    assert (values[1] - values[0]) * (end - start) >= -1e-12
    assert (schedule(0.0), schedule(1.0)) == (pytest.approx(start), end)


@given(SHARES, SHARES)
def test_a_schedule_over_nothing_is_at_its_end(end, progress):
    assert Linear(1.0, end, over=0.0)(progress) == end
    assert Cosine(1.0, end, over=0.0)(progress) == end


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: Fixed(math.nan), "Fixed.value=nan"),
        (lambda: Linear(0.0, 1.0, over=1.5), "Linear.over=1.5"),
        (lambda: Cosine(math.inf, 0.0), "Cosine.start=inf"),
        (lambda: Cosine(1.0, 0.0, over=0.5, warmup=0.6), "Cosine.warmup=0.6"),
    ],
)
def test_bad_numbers_are_refused_by_name(build, named):
    with pytest.raises(ValueError, match=named):
        build()


def test_each_is_a_schedule():
    assert all(isinstance(each, Schedule) for each in (Fixed(0.0), Linear(0.0, 1.0), Cosine(1.0, 0.0)))
