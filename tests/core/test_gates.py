import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import ThresholdGate
from tests.core.batches import batch

RATES = st.integers(1, 16).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def asked(solved, total):
    """Return the rollouts of one question."""
    return batch([1.0] * solved + [0.0] * (total - solved))


@given(RATES, st.floats(-1, 2))
def test_a_gate_reinforces_or_imitates_and_never_both(counts, threshold):
    solved, total = counts
    weights = ThresholdGate(threshold, reinforce=0.5, imitate=0.3)(asked(solved, total))
    expected = (0.5, 0.0) if solved / total > threshold else (0.0, 0.3)
    assert (weights.reinforce[0].item(), weights.imitate[0].item()) == expected


@pytest.mark.parametrize(("solved", "total"), [(1, 8), (1, 10), (3, 10), (8, 8)])
def test_a_gate_imitates_at_its_threshold_and_not_just_above(solved, total):
    step = asked(solved, total)
    assert ThresholdGate(solved / total)(step).imitate.tolist() == [1.0] * total
    assert ThresholdGate(math.nextafter(solved / total, -1.0))(step).imitate.tolist() == [0.0] * total


def test_a_gate_refuses_a_question_without_rollouts():
    with pytest.raises(ValueError, match="question without rollouts"):
        ThresholdGate()(batch([1.0, 1.0], [0, 1], [False, True]))
