"""What is kept of a step's responses."""

import json

import pytest

from tests.training.runs import train, train_config
from tests.training.scripted import ANSWER, END, QUESTION, digit
from training.answers import Rollout
from training.collect import Batch
from training.data import Question
from training.responses import Response
from training.row_use import RowUse
from training.transcripts import DEMONSTRATION, transcripts


def prompt(question):
    return QUESTION, digit(question), ANSWER


def sampled(question, *digits, reward=0.0, outcome="wrong", **values):
    tokens = (*map(digit, digits), END)
    row = Response(question, prompt(question), tokens, is_demonstration=False, reward=reward, **values)
    return Rollout(row, outcome, False)


def given(question, *digits):
    tokens = (*map(digit, digits), END)
    return Response(question, prompt(question), tokens, is_demonstration=True, reward=1.0)


QUESTIONS = {each: Question(each, prompt(each), None, str(each)) for each in range(5)}


def records(tokenizer, batch, uses, limit=9):
    return transcripts(batch, uses, QUESTIONS, tokenizer, limit)


def test_a_record_has_the_question_and_all_that_became_of_its_responses(tokenizer):
    right, wrong = sampled(3, 3, reward=1.0, outcome="correct"), sampled(3, 4)
    shown = given(3, 1, 2)
    batch = Batch(responses=[right.response, wrong.response, shown], rollouts=[right, wrong])
    uses = [
        RowUse(right.response, ("reinforce", "entropy"), True),
        RowUse(wrong.response, (), False),
        RowUse(shown, ("imitate",), True),
    ]
    assert records(tokenizer, batch, uses) == [
        {
            "question": 3,
            "prompt": "<user>3<assistant>",
            "answer": "3",
            "responses": [
                response("3", 1.0, "correct", True, ["reinforce", "entropy"]),
                response("4", 0.0, "wrong", False, []),
                response("12", 1.0, DEMONSTRATION, True, ["imitate"]),
            ],
        }
    ]


def response(text, reward, outcome, trained, terms):
    return {"text": text, "reward": reward, "outcome": outcome, "trained": trained, "terms": terms}


def test_the_first_questions_are_kept_in_the_order_they_were_asked(tokenizer):
    rollouts = [sampled(question, 1) for question in (4, 2, 4, 0, 2, 1)]
    batch = Batch(responses=[each.response for each in rollouts], rollouts=rollouts)
    found = records(tokenizer, batch, [], limit=3)
    assert [(each["question"], len(each["responses"])) for each in found] == [(4, 2), (2, 2), (0, 1)]
    assert records(tokenizer, batch, [], limit=0) == []


def test_questions_that_dynamic_sampling_dropped_are_there_and_untrained(tokenizer):
    dropped, kept = sampled(1, 1), sampled(2, 2)
    batch = Batch(responses=[kept.response], rollouts=[dropped, kept])
    found = records(tokenizer, batch, [RowUse(kept.response, ("reinforce",), True)])
    assert [(each["question"], each["responses"][0]["trained"]) for each in found] == [(1, False), (2, True)]


def test_equal_responses_have_each_their_own_use(tokenizer):
    twins = [sampled(1, 1), sampled(1, 1), sampled(1, 1)]
    batch = Batch(responses=[each.response for each in twins], rollouts=twins)
    uses = [RowUse(each.response, (name,), name != "b") for each, name in zip(twins, "abc", strict=True)]
    (found,) = records(tokenizer, batch, uses)
    assert [(each["terms"], each["trained"]) for each in found["responses"]] == [
        (["a"], True),
        (["b"], False),
        (["c"], True),
    ]


def test_a_demonstration_equal_to_a_rollout_is_told_from_it(tokenizer):
    rollout, shown = sampled(1, 1, outcome="correct"), given(1, 1)
    batch = Batch(responses=[rollout.response, shown], rollouts=[rollout])
    uses = [RowUse(rollout.response, ("reinforce",), True), RowUse(shown, ("imitate",), True)]
    (found,) = records(tokenizer, batch, uses)
    assert [(each["outcome"], each["terms"]) for each in found["responses"]] == [
        ("correct", ["reinforce"]),
        (DEMONSTRATION, ["imitate"]),
    ]


def test_a_row_that_was_given_a_greedy_baseline_since_is_found(tokenizer):
    rollout = sampled(1, 1)
    used = sampled(1, 1, greedy_reward=1.0).response
    batch = Batch(responses=[used], rollouts=[rollout])
    (found,) = records(tokenizer, batch, [RowUse(used, ("reinforce",), True)])
    assert found["responses"][0]["terms"] == ["reinforce"]


@pytest.mark.parametrize("algorithm", ["hpt", "dapo", "relift", "remax", "uft"])
def test_every_algorithms_steps_leave_as_many_questions_as_are_asked_for(policy_path, tmp_path, algorithm):
    train(tmp_path, policy_path, algorithm, train_config(4, record_questions=2))
    kept = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    steps = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in kept] == [1, 1, 2, 2, 3, 3, 4, 4]
    for step in steps:
        rates = dict(map(tuple, step["rollout/solve_rates"] or []))
        for record in (record for record in kept if record["step"] == step["step"]):
            rewards = [r["reward"] for r in record["responses"] if r["outcome"] != DEMONSTRATION]
            if rewards:
                assert sum(rewards) / len(rewards) == pytest.approx(rates[record["question"]])
            for each in record["responses"]:
                assert each["trained"] or not each["terms"] or each["reward"] is not None


def test_the_terms_that_trained_a_row_are_those_of_the_gate(policy_path, tmp_path):
    train(tmp_path, policy_path, "hpt", train_config(4, record_questions=4))
    for line in (tmp_path / "rollouts.jsonl").read_text().splitlines():
        responses = json.loads(line)["responses"]
        rollouts = [each for each in responses if each["outcome"] != DEMONSTRATION]
        (shown,) = [each for each in responses if each["outcome"] == DEMONSTRATION]
        solved = sum(each["reward"] for each in rollouts) / len(rollouts)
        # HPT with γ = 0.25: rollouts where more are solved, else the demonstration.
        assert ("reinforce" in rollouts[0]["terms"]) == (solved > 0.25)
        assert ("imitate" in shown["terms"]) == (solved <= 0.25)
