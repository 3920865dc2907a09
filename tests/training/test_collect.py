"""The responses of a step, and what is recorded of them."""

import math

import pytest

from training.collect import Sources, Verdict, collect, response_text, rollout_metrics, share
from training.config import RolloutConfig
from training.data import Question
from training.rollout import Sampled

QUESTIONS = [
    Question(4, (2, 5, 3), (6, 7, 1), "5"),
    Question(9, (2, 8, 3), None, ("6", "6.0")),
]


class ScriptedSampler:
    """A rollout backend that repeats the prompt's second token, once more for every response."""

    def __init__(self):
        self.asked = []

    def sample(self, prompts, sampling, seed):
        self.asked.append((list(prompts), sampling, seed))
        found = []
        for index, prompt in enumerate(prompts):
            end = (1,) if index % 2 == 0 else ()
            tokens = (prompt[1],) * (index + 1) + end
            found.append(Sampled(tokens, (-0.5,) * len(tokens), truncated=not end))
        return found


def solved_by_length(pairs):
    return [Verdict(float(len(text) == 1), "right" if len(text) == 1 else "wrong") for text, _ in pairs]


@pytest.fixture
def sampler():
    return ScriptedSampler()


@pytest.fixture
def sources(sampler, tokenizer):
    config = RolloutConfig(samples=2, temperature=0.7, max_response_tokens=9, batch_size=3)
    return Sources(sampler, tokenizer, solved_by_length, config)


def test_every_question_gets_its_samples_and_its_demonstration(sources, sampler):
    batch = collect(QUESTIONS, frozenset({"rollouts", "demonstrations"}), sources, seed=8)
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
    recording = Sources(
        sources.sampler,
        tokenizer,
        lambda pairs: seen.extend(pairs) or solved_by_length(pairs),
        sources.config,
    )
    collect(QUESTIONS, frozenset({"rollouts"}), recording, seed=0)
    assert seen == [("0", "5"), ("00", "5"), ("333", ("6", "6.0")), ("3333", ("6", "6.0"))]


def test_what_is_not_needed_is_not_made(sources, sampler):
    batch = collect(QUESTIONS, frozenset({"demonstrations"}), sources, seed=0)
    assert sampler.asked == []
    assert [response.is_demonstration for response in batch.responses] == [True]
    batch = collect(QUESTIONS, frozenset({"rollouts"}), sources, seed=0)
    assert not any(response.is_demonstration for response in batch.responses)


def test_a_step_with_nothing_to_train_on_says_why(sources):
    with pytest.raises(ValueError, match=r"none of the questions \[9\] has a demonstration"):
        collect(QUESTIONS[1:], frozenset({"demonstrations"}), sources, seed=0)


def test_the_grader_reads_special_tokens_but_not_the_end(tokenizer):
    assert response_text(tokenizer, (4, 6, 9, 1)) == "\\boxed{14"
    assert response_text(tokenizer, (6, 3, 7)) == "1<assistant>2"
    assert response_text(tokenizer, (1, 6, 1)) == "<eos>1"
    assert response_text(tokenizer, (1,)) == ""


def test_rollout_metrics_describe_the_rollouts(sources):
    metrics = rollout_metrics(collect(QUESTIONS, frozenset({"rollouts", "demonstrations"}), sources, seed=0))
    assert metrics == {
        "rollout/solve_rate": 0.25,
        "rollout/solve_rates": [[4, 0.5], [9, 0.0]],
        "rollout/response_tokens": (2 + 2 + 4 + 4) / 4,
        "rollout/tokens": 12,
        "rollout/entropy": 0.5,
        "rollout/truncated_share": 0.5,
        "rollout/outcomes": {"right": 1, "wrong": 3},
    }


def test_metrics_of_a_step_without_rollouts_are_empty_but_for_lengths(sources):
    metrics = rollout_metrics(collect(QUESTIONS, frozenset({"demonstrations"}), sources, seed=0))
    assert metrics["rollout/tokens"] == 0
    assert metrics["rollout/response_tokens"] == 3
    assert metrics["rollout/outcomes"] == {}
    assert metrics["rollout/solve_rates"] == []
    for name in ("solve_rate", "entropy", "truncated_share"):
        assert metrics[f"rollout/{name}"] is None


def test_a_partial_reward_is_not_solved(sources, tokenizer):
    partial = Sources(
        sources.sampler, tokenizer, lambda pairs: [Verdict(0.5, "half") for _ in pairs], sources.config
    )
    batch = collect(QUESTIONS, frozenset({"rollouts"}), partial, seed=0)
    assert rollout_metrics(batch)["rollout/solve_rate"] == 0.0
    assert {response.reward for response in batch.responses} == {0.5}


def test_a_grader_that_returns_too_few_verdicts_is_refused(sources, tokenizer):
    short = Sources(sources.sampler, tokenizer, lambda pairs: [Verdict(1.0, "right")], sources.config)
    with pytest.raises(ValueError, match="shorter"):
        collect(QUESTIONS, frozenset({"rollouts"}), short, seed=0)


def test_a_share_of_nothing_is_none():
    assert share(1, 0) is None
    assert math.isclose(share(1, 4), 0.25)
