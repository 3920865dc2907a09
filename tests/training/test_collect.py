"""The responses of a step, and what is recorded of them."""

import pytest

from tests.training.scripted import Oracle, ScriptedSampler, digit, scripted_sources
from training.answers import Sources, Verdict, response_text
from training.collect import Request, collect, rollout_metrics, wish_metrics
from training.data import Question

QUESTIONS = [
    Question(4, (2, 5, 3), (6, 7, 1), "5"),
    Question(9, (2, 8, 3), None, ("6", "6.0")),
]
ROLLOUTS = Request(frozenset({"rollouts"}), seed=8)
DEMONSTRATIONS = Request(frozenset({"demonstrations"}), seed=8)
BOTH = Request(frozenset({"rollouts", "demonstrations"}), seed=8)


def one_character(pairs):
    return [Verdict(float(len(text) == 1), "right" if len(text) == 1 else "wrong") for text, _ in pairs]


def half_right(pairs):
    return [Verdict(0.5, "half") for _ in pairs]


@pytest.fixture
def sampler():
    return ScriptedSampler()


@pytest.fixture
def sources(sampler, tokenizer):
    return scripted_sources(sampler, tokenizer, one_character)


def test_every_question_gets_its_samples_and_its_demonstration(sources, sampler):
    batch = collect(QUESTIONS, BOTH, sources)
    found = [(r.question, r.tokens, r.is_demonstration, r.reward) for r in batch.responses]
    assert found == [
        (4, (5, 1), False, 1.0),
        (4, (5, 5), False, 0.0),
        (9, (8, 8, 8, 1), False, 0.0),
        (9, (8, 8, 8, 8), False, 0.0),
        (4, (6, 7, 1), True, 1.0),
    ]
    assert [response.prompt for response in batch.responses][:4] == [(2, 5, 3)] * 2 + [(2, 8, 3)] * 2
    assert batch.responses[0].sampler_logp == (-0.5, -0.5)
    assert batch.responses[4].sampler_logp == ()
    assert {response.prefix_tokens for response in batch.responses} == {0}
    assert {response.greedy_reward for response in batch.responses} == {None}
    ((prompts, sampling, seed),) = sampler.asked
    assert prompts == [(2, 5, 3), (2, 5, 3), (2, 8, 3), (2, 8, 3)]
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.batch_size) == (
        0.7,
        1.0,
        9,
        3,
    )
    assert seed == 8


def test_rewards_are_asked_with_each_responses_own_gold_answer(sources, tokenizer):
    seen = []

    def recording(pairs):
        seen.extend(pairs)
        return one_character(pairs)

    collect(QUESTIONS, ROLLOUTS, Sources(sources.sampler, tokenizer, recording, sources.config))
    assert seen == [("0", "5"), ("00", "5"), ("333", ("6", "6.0")), ("3333", ("6", "6.0"))]


def test_what_is_not_needed_is_not_made(sources, sampler):
    batch = collect(QUESTIONS, DEMONSTRATIONS, sources)
    assert sampler.asked == []
    assert [response.is_demonstration for response in batch.responses] == [True]
    batch = collect(QUESTIONS, ROLLOUTS, sources)
    assert not any(response.is_demonstration for response in batch.responses)


def test_a_step_with_nothing_to_train_on_says_why(sources):
    with pytest.raises(ValueError, match=r"none of the questions \[9\] has a demonstration"):
        collect(QUESTIONS[1:], DEMONSTRATIONS, sources)


def test_the_grader_reads_special_tokens_but_not_the_end(tokenizer):
    assert response_text(tokenizer, (4, 6, 9, 1)) == "\\boxed{14"
    assert response_text(tokenizer, (6, 3, 7)) == "1<assistant>2"
    assert response_text(tokenizer, (1, 6, 1)) == "<eos>1"
    assert response_text(tokenizer, (1,)) == ""


def test_rollout_metrics_describe_the_rollouts(sources):
    batch = collect(QUESTIONS, BOTH, sources)
    assert rollout_metrics(batch) == {
        "rollout/solve_rate": 0.25,
        "rollout/solve_rates": [[4, 0.5], [9, 0.0]],
        "rollout/response_tokens": (2 + 2 + 4 + 4) / 4,
        "rollout/tokens": 12,
        "rollout/entropy": 0.5,
        "rollout/truncated_share": 0.5,
        "rollout/outcomes": {"right": 1, "wrong": 3},
    }
    assert wish_metrics(batch, BOTH) == {}


def test_metrics_of_a_step_without_rollouts_are_empty_but_for_lengths(sources):
    metrics = rollout_metrics(collect(QUESTIONS, DEMONSTRATIONS, sources))
    assert metrics["rollout/tokens"] == 0
    assert metrics["rollout/response_tokens"] == 3
    assert metrics["rollout/outcomes"] == {}
    assert metrics["rollout/solve_rates"] == []
    for name in ("solve_rate", "entropy", "truncated_share"):
        assert metrics[f"rollout/{name}"] is None


def test_a_partial_reward_is_not_solved(sources, tokenizer):
    partial = Sources(sources.sampler, tokenizer, half_right, sources.config)
    batch = collect(QUESTIONS, ROLLOUTS, partial)
    assert rollout_metrics(batch)["rollout/solve_rate"] == 0.0
    assert {response.reward for response in batch.responses} == {0.5}


def test_a_grader_that_returns_too_few_verdicts_is_refused(sources, tokenizer):
    short = Sources(sources.sampler, tokenizer, lambda pairs: [Verdict(1.0, "right")], sources.config)
    with pytest.raises(ValueError, match="shorter"):
        collect(QUESTIONS, ROLLOUTS, short)


@pytest.mark.parametrize("others", [{"rollouts"}, {"demonstrations"}, {"rollouts", "demonstrations"}])
def test_every_row_carries_the_reward_of_its_questions_greedy_response(tokenizer, others):
    questions = [Question(i, (2, digit(i), 3), (6, 1), str(i)) for i in range(3)]
    oracle = Oracle({0: 1, 1: 2}, greedy={0, 2})
    request = Request(frozenset({"greedy_reward", *others}), seed=8)
    sources = scripted_sources(oracle, tokenizer)
    batch = collect(questions, request, sources)
    assert len(batch.responses) == 6 * ("rollouts" in others) + 3 * ("demonstrations" in others)
    assert {(row.question, row.greedy_reward) for row in batch.responses} == {(0, 1.0), (1, 0.0), (2, 1.0)}
    asked, sampling, _ = oracle.asked[-1]
    assert asked == [0, 1, 2]
    assert (sampling.temperature, sampling.max_tokens) == (0.0, 9)


def test_greedy_responses_are_not_trained_on_but_paid_for(tokenizer):
    questions = [Question(i, (2, digit(i), 3), (6, 1), str(i)) for i in range(2)]
    sources = scripted_sources(Oracle({0: 1}, greedy={1}), tokenizer)
    request = Request(frozenset({"rollouts", "greedy_reward"}), seed=8)
    batch = collect(questions, request, sources)
    metrics = rollout_metrics(batch)
    assert metrics["rollout/tokens"] == 2 * 2 * 2 + 2 * 2
    # All else is said of the rollouts alone.
    assert metrics["rollout/solve_rates"] == [[0, 0.5], [1, 0.0]]
    assert metrics["rollout/outcomes"] == {"right": 1, "wrong": 3}
    assert metrics["rollout/entropy"] == 0.5
    assert wish_metrics(batch, request) == {"rollout/greedy_solve_rate": 0.5}


def test_a_greedy_response_with_partial_reward_is_a_baseline_but_not_solved(tokenizer):
    questions = [Question(i, (2, digit(i), 3), (6, 1), str(i)) for i in range(2)]
    sources = scripted_sources(Oracle({}), tokenizer, half_right)
    request = Request(frozenset({"rollouts", "greedy_reward"}), seed=8)
    batch = collect(questions, request, sources)
    assert {row.greedy_reward for row in batch.responses} == {0.5}
    assert wish_metrics(batch, request) == {"rollout/greedy_solve_rate": 0.0}
