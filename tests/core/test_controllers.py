import dataclasses
import itertools
import json

import pytest
import torch

from core import (
    Algorithm,
    Constant,
    Cosine,
    CurrentPolicy,
    Demonstrations,
    Fixed,
    GacGate,
    KeepAll,
    PolicyGradient,
    Rollouts,
    Term,
    TokenLikelihood,
    TokenMean,
)
from tests.core.batches import batch
from tests.core.gac import IMITATE, REINFORCE, textbook
from tests.core.steps import for_any_seed, padded, random_step, renumbered, shuffled

GATE = GacGate(REINFORCE, IMITATE, start=0.5, prior=Fixed(0.3), every=1)
# Nothing smoothed, blended, capped or bounded: μ is what was measured.
RAW = dataclasses.replace(GATE, smoothing=0.0, blend=1.0, cap=1.0, low=0.0, high=1.0)


def share(gate, step):
    """Return μ of a step without memory."""
    weights = gate(step)
    assert torch.equal(weights.reinforce, 1.0 - weights.imitate)
    assert len(set(weights.imitate.tolist())) == 1
    return weights.imitate[0].item()


@for_any_seed
def test_the_share_is_that_of_the_textbook_statistics(seed):
    step = random_step(seed, rows=40)
    for trim in (0.1, 0.3):
        noise, surprise, apart = textbook(step, trim)
        expected = (0.7 * apart + noise) / (apart + surprise + noise)
        gate = dataclasses.replace(RAW, target=0.7, trim=trim)
        assert share(gate, step) == pytest.approx(expected, rel=1e-9)


def test_the_measured_share_minimises_the_squared_error():
    noise, surprise, apart = 0.3, 1.1, 0.6
    measured = {"disagreement": apart, "reinforce_variance": noise, "imitate_variance": surprise}
    best = dataclasses.replace(RAW, target=0.4)._follow(measured, 0.5, 0.0)

    def error(mu):
        return (mu - 0.4) ** 2 * apart + mu**2 * surprise + (1 - mu) ** 2 * noise

    assert all(error(best) < error(best + step) for step in (-0.01, -1e-4, 1e-4, 0.01))


def steps_of(gate, count, seed=0):
    """Return the shares over some steps, each planned with the memory of the one before."""
    terms = (
        Term("reinforce", REINFORCE, Rollouts(gate), TokenMean()),
        Term("imitate", IMITATE, Demonstrations(gate), TokenMean()),
    )
    algorithm, memory, found = Algorithm("gac", terms), {}, []
    for i in range(count):
        step = dataclasses.replace(random_step(seed + i, rows=12), memory=memory, progress=i / count)
        plan = algorithm.plan(step)
        memory = json.loads(json.dumps(plan.memory))
        assert list(memory) == [repr(gate)]
        mu = memory[repr(gate)]["mu"]
        for term, weight in zip(plan.plans, (1.0 - mu, mu), strict=True):
            rows = term.weight[(term.weight != 0).any(dim=1)]
            factor = (term.weight != 0).sum() * rows.max() if len(rows) else weight
            assert float(factor) == pytest.approx(weight)
        found.append(mu)
    return found


def test_the_share_never_moves_by_more_than_the_cap():
    shares = [0.5, *steps_of(GATE, 12)]
    moves = [abs(b - a) for a, b in itertools.pairwise(shares)]
    assert max(moves) == pytest.approx(0.01)
    assert shares[-1] == pytest.approx(0.5 - 12 * 0.01)  # towards the prior of 0.3


def test_the_prior_and_the_measured_share_are_blended():
    noise, surprise, apart = textbook(random_step(0, rows=12))
    optimum = (0.5 * apart + noise) / (apart + surprise + noise)
    gate = dataclasses.replace(GATE, smoothing=0.9, cap=1.0, low=0.0, high=1.0, blend=0.25)
    assert steps_of(gate, 1) == pytest.approx([0.75 * 0.3 + 0.25 * (0.9 * 0.5 + 0.1 * optimum)])


def test_the_prior_is_read_at_the_progress_of_the_run():
    gate = dataclasses.replace(RAW, blend=0.0, prior=Cosine(0.9, 0.1))
    assert steps_of(gate, 4) == pytest.approx([Cosine(0.9, 0.1)(i / 4) for i in range(4)])


def test_the_share_stays_within_its_bounds():
    assert steps_of(dataclasses.replace(GATE, cap=1.0, prior=Fixed(1.0), blend=0.0), 2) == [0.9, 0.9]
    assert steps_of(dataclasses.replace(GATE, cap=1.0, prior=Fixed(0.0), blend=0.0), 2) == [0.05, 0.05]


def test_what_was_measured_is_bounded_before_it_is_blended():
    step = random_step(0, rows=12)
    assert share(RAW, step) > 0.3
    bounded = dataclasses.replace(RAW, prior=Fixed(0.1), blend=0.5, low=0.05, high=0.2)
    assert share(bounded, step) == pytest.approx(0.15)


def test_statistics_are_averaged_over_steps_and_measured_every_so_often():
    gate, state = dataclasses.replace(GATE, every=3, smoothing=0.75), {}
    measured = [textbook(random_step(i, rows=12)) for i in range(7)]
    averages = list(measured[0])
    for i in range(7):
        state = gate.advance(random_step(i, rows=12), state)
        if i in (3, 6):
            averages = [0.75 * old + 0.25 * new for old, new in zip(averages, measured[i], strict=True)]
        found = [state[name] for name in ("reinforce_variance", "imitate_variance", "disagreement")]
        assert found == pytest.approx(averages, rel=1e-9)


def test_advancing_twice_from_one_state_gives_one_state_and_leaves_the_old_one_alone():
    state = GATE.advance(random_step(1), {})
    before = dict(state)
    assert GATE.advance(random_step(2), state) == GATE.advance(random_step(2), state) != state
    assert state == before


@for_any_seed
def test_order_padding_and_numbers_of_questions_do_not_matter(seed):
    step = random_step(seed, rows=16)
    expected = share(RAW, step)
    for other in (shuffled(step, seed)[0], padded(step), renumbered(step)):
        assert share(RAW, other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("demonstrations", [[False] * 4, [True] * 4, [False, False, True, True]])
@pytest.mark.parametrize("lengths", [[2, 2, 2, 2], [0, 0, 0, 0], [1, 0, 0, 2]])
def test_steps_with_nothing_to_measure_leave_the_share_finite(demonstrations, lengths):
    step = batch([0.5] * 4, demonstrations=demonstrations, lengths=lengths)
    silence = torch.full(step.response_mask.shape, -1.0).double()
    step = dataclasses.replace(step, behavior_logp=silence, current_logp=silence)
    assert share(RAW, random_step(1, rows=4, tokens=0)) == 0.5
    plain = PolicyGradient(KeepAll(), CurrentPolicy(), Constant(), TokenLikelihood())
    for gate in (RAW, dataclasses.replace(RAW, imitate=plain)):
        assert share(gate, step) == 0.5


def test_it_needs_what_both_estimators_read_already_when_the_step_is_planned():
    assert GATE.plan_needs == {"current_logp", "behavior_logp"}
    assert GATE.needs == {"current_logp", "behavior_logp", "rollouts", "demonstrations"}
    with pytest.raises(ValueError, match="GacGate reads current_logp"):
        GATE(batch([1.0]))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"start": 1.5}, "start=1.5"),
        ({"smoothing": -0.1}, "smoothing=-0.1"),
        ({"low": 0.6, "high": 0.4}, "high=0.4"),
        ({"trim": 0.5}, "trim=0.5"),
        ({"every": 0}, "every=0"),
    ],
)
def test_bad_numbers_are_refused_by_name(options, named):
    with pytest.raises(ValueError, match=f"GacGate.{named}"):
        dataclasses.replace(GATE, **options)
