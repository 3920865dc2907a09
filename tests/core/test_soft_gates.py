import dataclasses
import math
import pickle

import pytest
import torch

from core import (
    Cosine,
    EntropyGate,
    Fixed,
    GateWeights,
    HysteresisGate,
    ScheduleGate,
    TableGate,
    needs_of,
)
from tests.core.batches import batch
from tests.core.hybrids import asked, hybrid


def test_a_gate_needs_rollouts_of_every_question():
    with pytest.raises(ValueError, match="question without rollouts"):
        HysteresisGate().advance(batch([1.0], demonstrations=[True]), {})
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
