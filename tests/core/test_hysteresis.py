import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st

from core import (
    Algorithm,
    HysteresisGate,
    ThresholdGate,
)
from tests.core.hybrids import asked, hybrid

GATE = HysteresisGate(low=0.0, high=0.25, reinforce=0.5, imitate=0.3)
HISTORIES = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=8)


def imitated(gate, step):
    """Return which questions, each of five rows, are imitated."""
    weights = gate(step)
    assert not ((weights.reinforce > 0) & (weights.imitate > 0)).any()
    return (weights.imitate > 0)[::5].tolist()


def walk(gate, history):
    """Return which questions are imitated in each of several steps, the memory passing as JSON."""
    algorithm, memory, found = hybrid(gate), {}, []
    for solved in history:
        step = dataclasses.replace(asked(*solved), memory=memory)
        plan = algorithm.plan(step)
        memory = json.loads(json.dumps(plan.memory))
        weights = [(each.weight != 0).any(dim=1)[4::5] for each in plan.plans]
        assert not weights[0].any()  # demonstrations are never reinforced
        found.append(weights[1].tolist())
    return found


def test_a_question_leaves_imitation_only_well_above_where_it_entered():
    # Solved 0, 1, 2, 1, 0 and 1 times of four; 1 of 4 is the upper threshold, which is not passed by it.
    history = [[0], [1], [2], [1], [0], [1]]
    assert walk(GATE, history) == [[True], [True], [False], [False], [True], [True]]


@given(HISTORIES)
def test_hysteresis_is_a_switch_with_two_thresholds_for_each_question(history):
    states, expected = [False] * 3, []
    for solved in history:
        states = [k / 4 <= (0.5 if was else 0.25) for k, was in zip(solved, states, strict=True)]
        expected.append(states)
    assert walk(HysteresisGate(0.25, 0.5), history) == expected


@given(HISTORIES)
def test_without_a_gap_it_has_no_memory(history):
    plain = [imitated(ThresholdGate(0.25), asked(*solved)) for solved in history]
    assert walk(HysteresisGate(0.25, 0.25), history) == plain


def test_a_question_that_is_not_asked_keeps_its_state():
    first = GATE.advance(asked(0, 0), {})
    assert first == {"0": 1.0, "7": 1.0}
    only_the_first = asked(4)
    assert GATE.advance(only_the_first, first) == {"7": 1.0}
    assert first == {"0": 1.0, "7": 1.0}


def test_the_same_step_and_state_give_the_same_weights_again():
    step = asked(0, 1, 3)
    first = GATE.advance(step, {"7": 1.0})
    assert GATE.advance(step, {"7": 1.0}) == first == {"0": 1.0, "7": 1.0}
    remembering = dataclasses.replace(step, memory={repr(GATE): first})
    for _ in range(2):
        weights = GATE(remembering)
        assert weights.reinforce[::5].tolist() == [0, 0, 0.5]
        assert weights.imitate[::5].tolist() == [0.3, 0.3, 0]


def test_a_gate_without_a_memory_decides_as_at_the_first_step():
    assert imitated(GATE, asked(0, 1, 4)) == [True, False, False]


def test_two_gates_of_one_algorithm_remember_apart():
    other = HysteresisGate(0.5, 0.75)
    routed = hybrid(GATE).terms[0], dataclasses.replace(hybrid(other).terms[1])
    memory = Algorithm("two", routed).plan(asked(1)).memory
    assert memory == {repr(GATE): {}, repr(other): {"0": 1.0}}
