import dataclasses
import json
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core import (
    Algorithm,
    Constant,
    Cosine,
    CurrentPolicy,
    Demonstrations,
    EntropyGate,
    Fixed,
    GateWeights,
    GroupRelative,
    HysteresisGate,
    KeepAll,
    PolicyGradient,
    Rollouts,
    ScheduleGate,
    TableGate,
    Term,
    ThresholdGate,
    TokenLikelihood,
    TokenMean,
    needs_of,
)
from tests.core.batches import batch

GATE = HysteresisGate(low=0.0, high=0.25, reinforce=0.5, imitate=0.3)
HISTORIES = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=8)


def asked(*solved, total=4):
    """Return `total` rollouts and a demonstration of each question, of which so many are solved."""
    rewards = [reward for k in solved for reward in [1.0] * k + [0.0] * (total - k) + [1.0]]
    groups = [7 * question for question in range(len(solved)) for _ in range(total + 1)]
    return batch(rewards, groups, ([False] * total + [True]) * len(solved))


def hybrid(gate):
    """Return reinforcement and imitation, both routed by the gate."""
    reinforce = PolicyGradient(KeepAll(), CurrentPolicy(), GroupRelative(), TokenLikelihood())
    imitate = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())
    terms = (
        Term("reinforce", reinforce, Rollouts(gate), TokenMean()),
        Term("imitate", imitate, Demonstrations(gate), TokenMean()),
    )
    return Algorithm("hybrid", terms)


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


def test_a_gate_needs_rollouts_of_every_question():
    with pytest.raises(ValueError, match="question without rollouts"):
        GATE.advance(batch([1.0], demonstrations=[True]), {})
    with pytest.raises(ValueError, match="question without rollouts"):
        TableGate((0.0, 1.0), (1.0, 0.0))(batch([1.0], demonstrations=[True]))


@pytest.mark.parametrize("entries", [2, 3, 8, 9])
def test_a_table_holds_the_weights_of_its_solve_rates(entries):
    table = tuple(float(k * k) for k in range(entries))
    gate = TableGate(table, table[::-1])
    for solved in range(entries):
        weights = gate(asked(solved, total=entries - 1))
        torch.testing.assert_close(weights.reinforce, torch.full((entries,), table[solved]).double())
        torch.testing.assert_close(weights.imitate, torch.full((entries,), table[-1 - solved]).double())


def test_a_table_is_linear_between_its_entries():
    # P = 3/4 lies halfway between ½ and 1; in the longer table it is an entry.
    weights = TableGate((0.0, 1.0, 5.0), (1.0, 0.5, 0.25, 0.125, 0.0))(asked(3))
    assert weights.reinforce.tolist() == [3.0] * 5
    assert weights.imitate.tolist() == [0.125] * 5


@pytest.mark.parametrize("table", [(), (1.0,), (0.0, -0.5), (0.0, math.nan)])
def test_a_table_must_hold_weights_from_zero_to_one(table):
    with pytest.raises(ValueError, match=r"TableGate\.imitate=.*two or more finite weights"):
        TableGate((0.0, 1.0), table)


def test_the_entropy_gate_goes_by_the_questions_demonstrations():
    step = batch([1.0, 1.0, 0.0, 1.0], [0, 0, 3, 3], [True, True, False, False], [1, 3, 2, 2])
    entropy = torch.tensor([[2.0, 99, 99], [1.0, 0.0, 1.0], [5.0, 5.0, 99], [5.0, 5.0, 99]]).double()
    step = dataclasses.replace(step, current_entropy=torch.where(step.response_mask, entropy, torch.nan))
    # Four demonstration tokens of question 0 with mean 1; question 3 has none.
    weights = EntropyGate(0.7, 0.5)(step)
    expected = [0.5 / math.e, 0.5 / math.e, 0.5, 0.5]
    assert weights.imitate.tolist() == pytest.approx(expected, rel=1e-12)
    assert weights.reinforce.tolist() == [0.7] * 4
    assert EntropyGate(imitate=0.1, sign=1.0)(step).imitate[0].item() == pytest.approx(0.1 * math.e)
    assert needs_of(EntropyGate(), phase="plan_needs") == {"current_entropy"}


def test_a_schedule_shares_between_both():
    step = dataclasses.replace(batch([1.0, 0.0]), progress=0.5)
    weights = ScheduleGate(Cosine(0.8, 0.2))(step)
    assert weights.imitate.tolist() == pytest.approx([0.5, 0.5])
    assert weights.reinforce.tolist() == pytest.approx([0.5, 0.5])
    assert ScheduleGate(Fixed(0.25))(step).reinforce.tolist() == [0.75, 0.75]
    assert needs_of(ScheduleGate(Fixed(0.25))) == frozenset()


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_beyond_all_or_nothing_is_refused(share):
    with pytest.raises(ValueError, match=rf"Fixed\(value={share}\) gives μ={share} at progress 0.0"):
        ScheduleGate(Fixed(share))(batch([1.0]))


def twice_the_reward(step):
    """A gate that is a plain function."""
    return GateWeights(2.0 * step.reward, 1.0 - step.reward)


def test_a_plain_function_is_a_gate():
    algorithm = hybrid(twice_the_reward)
    plan = algorithm.plan(asked(1, 3))
    assert pickle.loads(pickle.dumps(algorithm)) == algorithm
    assert plan.plans[0].weight[:5, 0].tolist() == [0.25, 0, 0, 0, 0]
    assert not plan.plans[1].weight.any()
    assert algorithm.needs == {"rollouts", "demonstrations"}


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: HysteresisGate(0.5, 0.25), "HysteresisGate.high=0.25"),
        (lambda: HysteresisGate(imitate=-1.0), "HysteresisGate.imitate=-1.0"),
        (lambda: EntropyGate(imitate=-1.0), "EntropyGate.imitate=-1.0"),
        (lambda: EntropyGate(sign=2.0), "EntropyGate.sign=2.0"),
    ],
)
def test_bad_numbers_are_refused_by_name(build, named):
    with pytest.raises(ValueError, match=named):
        build()
