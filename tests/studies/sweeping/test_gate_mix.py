import math

import pytest

from core import TableGate, ThresholdGate
from studies.sweep_gate_mix import gate_mix


def gate_of(**arguments):
    return gate_mix(**arguments).terms[0].rows.gate


def test_a_hard_gate_is_the_threshold_with_both_weights():
    assert gate_of(threshold=0.25, alpha=2.0, beta=0.5) == ThresholdGate(0.25, 2.0, 0.5)


def test_a_soft_gate_turns_from_imitation_to_reinforcement_around_the_threshold():
    gate = gate_of(kind="soft", threshold=0.5, width=0.1, alpha=2.0, beta=3.0)
    assert isinstance(gate, TableGate)
    assert len(gate.reinforce) == 9
    for level, (reinforce, imitate) in enumerate(zip(gate.reinforce, gate.imitate, strict=True)):
        share = 1 / (1 + math.exp(-(level / 8 - 0.5) / 0.1))
        assert reinforce == pytest.approx(2.0 * share)
        assert imitate == pytest.approx(3.0 * (1 - share))


def test_a_narrow_soft_gate_is_the_hard_one():
    gate = gate_of(kind="soft", threshold=0.3, width=1e-6, alpha=1.0, beta=1.0)
    assert gate.reinforce == (0.0,) * 3 + (1.0,) * 6
    assert gate.imitate == (1.0,) * 3 + (0.0,) * 6


def test_a_soft_gate_without_a_width_is_refused():
    with pytest.raises(ValueError, match=r"width=0\.0 must be above 0"):
        gate_mix(kind="soft", width=0.0)
