"""Dynamic sampling: which questions make way, and for which."""

import pytest

from core import DynamicSampling, RolloutPlan
from tests.training.scripted import Oracle, digit, scripted_sources
from training.collect import Request, collect, rollout_metrics, solve_rates, wish_metrics
from training.data import Question
from training.dynamic import sift
from training.responses import Response


@pytest.fixture
def pool():
    return [Question(i, (2, digit(i), 3), (6, 1), str(i)) for i in range(10)]


def dynamic(pool, rounds, *needs):
    return Request(
        frozenset({"rollouts", *needs}), 8, RolloutPlan(dynamic=DynamicSampling(rounds)), pool=pool
    )


def test_a_step_trains_on_mixed_questions_alone(tokenizer, pool):
    oracle = Oracle({1: 1, 3: 1, 5: 1, 7: 1, 9: 1, 2: 2}, greedy={1})
    request = dynamic(pool, 9, "demonstrations", "greedy_reward")
    batch = collect(pool[:4], request, scripted_sources(oracle, tokenizer))
    trained = {row.question for row in batch.responses}
    assert len(trained) == 4
    assert {1, 3} < trained <= {1, 3, 5, 7, 9}
    assert sum(not row.is_demonstration for row in batch.responses) == 8
    assert sum(row.is_demonstration for row in batch.responses) == 4
    assert {row.greedy_reward for row in batch.responses if row.question == 1} == {1.0}
    *rounds, (greedy, _, _) = oracle.asked
    assert set(greedy) == trained, "no greedy response is sampled for what is dropped"
    assert rounds[0][0] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len({seed for _, _, seed in rounds}) == len(rounds)


def test_what_is_dropped_is_paid_for_and_counted(tokenizer, pool):
    oracle = Oracle({1: 1, 3: 1, 2: 2})
    request = dynamic(pool, 1)
    batch = collect(pool[:4], request, scripted_sources(oracle, tokenizer))
    metrics = rollout_metrics(batch) | wish_metrics(batch, request)
    assert [row.question for row in batch.responses] == [1, 1, 3, 3]
    assert metrics["rollout/tokens"] == (4 + 2) * 2 * 2
    assert metrics["rollout/solve_rates"][:4] == [[0, 0.0], [1, 0.5], [2, 1.0], [3, 0.5]]
    assert metrics["rollout/solve_rate"] == pytest.approx(2 / 6)
    assert metrics["rollout/outcomes"] == {"right": 4, "wrong": 8}
    assert metrics["rollout/dynamic_rounds"] == 1
    assert metrics["rollout/dynamic_kept_share"] == 2 / 6
    assert solve_rates(batch.rollouts)[2] == 1.0


def test_a_step_without_mixed_questions_keeps_its_own(tokenizer, pool):
    request = dynamic(pool, 2)
    batch = collect(pool[:4], request, scripted_sources(Oracle({0: 2}), tokenizer))
    assert [row.question for row in batch.responses] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert wish_metrics(batch, request) == {
        "rollout/dynamic_rounds": 2,
        "rollout/dynamic_kept_share": 0.0,
    }
    assert rollout_metrics(batch)["rollout/tokens"] == 10 * 2 * 2


def asking(mixed):
    """Return what asks: mixed rewards for some questions, and a record of what it was asked."""
    record = []

    def ask(questions, number):
        record.append((number, [question.id for question in questions]))
        return [
            Response(question.id, (2,), (1,), False, reward)
            for question in questions
            for reward in (0.0, 0.5 if question.id in mixed else 0.0)
        ]

    return ask, record


def test_as_many_are_asked_as_are_missing_and_none_twice(pool):
    ask, record = asking({2, 8})
    found = sift(pool[:3], ask, DynamicSampling(9), pool, seed=4)
    assert record[0] == (0, [0, 1, 2])
    assert [number for number, _ in record] == list(range(len(record)))
    missing = 2
    for _, asked in record[1:]:
        assert len(asked) <= missing
        missing -= 8 in asked
    everything = [question for _, asked in record for question in asked]
    assert sorted(everything) == list(range(10)), "all were tried, as a third mixed one was not to be found"
    assert [question.id for question in found.questions] == [2, 8]
    assert (found.rounds, found.asked, found.mixed) == (len(record) - 1, 10, 2)


def test_asking_ends_when_all_are_mixed(pool):
    ask, record = asking(range(10))
    found = sift(pool[:3], ask, DynamicSampling(9), pool, seed=4)
    assert len(record) == 1
    assert found.questions == pool[:3]
    assert (found.rounds, found.asked, found.mixed) == (0, 3, 3)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_there_are_no_more_rounds_of_replacements_than_allowed(pool, rounds):
    ask, record = asking({0})
    found = sift(pool[:2], ask, DynamicSampling(rounds), pool, seed=4)
    assert len(record) == 1 + rounds
    assert (found.rounds, found.asked, found.mixed) == (rounds, 2 + rounds, 1)


def test_replacements_follow_the_seed(pool):
    def replacements(seed):
        ask, record = asking({0})
        sift(pool[:2], ask, DynamicSampling(4), pool, seed)
        return record[1:]

    assert replacements(4) == replacements(4)
    assert len({str(replacements(seed)) for seed in range(8)}) > 4


def test_replacements_are_drawn_evenly(pool):
    counts = dict.fromkeys(range(10), 0)
    for seed in range(1600):
        ask, record = asking({0})
        sift(pool[:2], ask, DynamicSampling(1), pool, seed)
        counts[record[1][1][0]] += 1
    assert counts[0] == counts[1] == 0
    # 200 ± 13 of each of the other eight.
    assert all(140 < counts[question] < 260 for question in range(2, 10))


def test_without_other_questions_a_step_makes_do(pool):
    ask, record = asking({0})
    found = sift(pool[:2], ask, DynamicSampling(5), pool[:2], seed=4)
    assert len(record) == 1
    assert (found.rounds, found.asked, found.mixed) == (0, 2, 1)
