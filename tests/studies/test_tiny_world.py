"""The tiny world is what the default study says it is: right, closed, and hard in steps."""

import json
import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from core.prompts import render_prompt
from studies.scales.tiny import build
from studies.scales.tiny.tokenizer import VOCABULARY, build_tokenizer
from studies.scales.tiny.world import NO_MISTAKES, Mistakes, draw_problem, worked_solution

FOLDER = Path(build.__file__).parent
COLUMN = re.compile(r"(\d+)([+-])(\d)([+-]1)?=(\d+)")
BOX = re.compile(r"\\boxed\{(\d+)\}$")


def training_rows():
    return pq.read_table(FOLDER / "train.parquet").to_pylist()


def suite(name):
    return [json.loads(line) for line in (FOLDER / "eval" / f"{name}.jsonl").read_text().splitlines()]


def check_working(question, solution):
    """Verify each column from the question alone, with long integers and place values only."""
    left, operation, right = re.fullmatch(r"(\d+)([+-])(\d+)", question).groups()
    sign = 1 if operation == "+" else -1
    *columns, final = solution.replace("\\boxed", " \\boxed").split(" ")
    assert len(columns) == len(left) == len(right)
    for place, text in enumerate(columns):
        upper, symbol, lower, carried, result = COLUMN.fullmatch(text).groups()
        below = 10**place
        due = (int(left) % below + sign * (int(right) % below)) // below
        assert symbol == operation
        assert int(upper) % 10 == int(left) // below % 10
        assert int(lower) == int(right) // below % 10
        assert int(carried or 0) == due
        assert int(result) == int(upper) + sign * int(lower) + due
        exact = (int(left) + sign * int(right)) // below
        assert int(result) % 10 == exact % 10
    expected = int(left) + sign * int(right)
    assert int(result) == expected // 10 ** (len(left) - 1)
    assert BOX.fullmatch(final).group(1) == str(expected)


def test_every_demonstration_is_right_column_by_column():
    for row in training_rows():
        check_working(row["prompt"][0]["content"], row["target"][0]["content"])
        assert BOX.search(row["target"][0]["content"]).group(1) == row["reward_model"]["ground_truth"]


@pytest.mark.parametrize("operation", ["+", "-"])
@pytest.mark.parametrize("digits", [2, 3, 4, 5])
def test_worked_solutions_without_mistakes_are_right(operation, digits):
    rng = random.Random(digits)
    for _ in range(200):
        problem = draw_problem(rng, operation, digits)
        assert problem.carries >= digits // 2
        check_working(problem.text, worked_solution(problem, NO_MISTAKES, rng))


@pytest.mark.parametrize("mistakes", [Mistakes(slip=1.0), Mistakes(lapse=1.0), Mistakes(misread=1.0)])
def test_each_mistake_spoils_most_answers(mistakes):
    rng = random.Random(0)
    problems = [draw_problem(rng, "+", 5) for _ in range(200)]
    right = [
        BOX.search(worked_solution(problem, mistakes, rng)).group(1) == str(problem.answer)
        for problem in problems
    ]
    assert sum(right) < 20


def test_training_set_has_the_schema_of_the_published_one():
    turns = pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))
    assert pq.read_schema(FOLDER / "train.parquet").equals(
        pa.schema(
            [
                ("data_source", pa.string()),
                ("prompt", turns),
                ("target", turns),
                ("ability", pa.string()),
                ("reward_model", pa.struct([("ground_truth", pa.string()), ("style", pa.string())])),
                ("extra_info", pa.struct([("index", pa.int64()), ("split", pa.string())])),
            ]
        )
    )


def test_training_rows_are_one_question_and_one_demonstration():
    rows = training_rows()
    assert [row["extra_info"] for row in rows] == [{"index": i, "split": "train"} for i in range(len(rows))]
    for row in rows:
        assert [turn["role"] for turn in row["prompt"]] == ["user"]
        assert [turn["role"] for turn in row["target"]] == ["assistant"]


def test_no_question_occurs_twice_in_training_set_and_suites():
    questions = [row["prompt"][0]["content"] for row in training_rows()]
    for name in build.SUITES:
        questions += [row["problem"] for row in suite(name)]
    assert len(questions) == len(set(questions))


@pytest.mark.parametrize("name", build.SUITES)
def test_suites_hold_right_answers_and_the_operation_they_name(name):
    operation, digits = build.SUITES[name]
    rows = suite(name)
    assert len({row["id"] for row in rows}) == len(rows) == build.SUITE_ROWS
    for row in rows:
        left, right = row["problem"].split(operation)
        assert len(left) == len(right) == digits
        exact = int(left) + int(right) if operation == "+" else int(left) - int(right)
        assert row["answer"] == str(exact)
        assert row["level"] == str(digits)


def test_post_training_sees_no_subtraction():
    assert not any("-" in row["prompt"][0]["content"] for row in training_rows())


def test_shipped_data_are_what_the_builder_makes(tmp_path):
    build.build_data(tmp_path)
    for name in build.SUITES:
        file = Path("eval") / f"{name}.jsonl"
        assert (tmp_path / file).read_bytes() == (FOLDER / file).read_bytes()
    assert pq.read_table(tmp_path / "train.parquet").equals(pq.read_table(FOLDER / "train.parquet"))


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER / "base_policy")


def test_shipped_tokenizer_is_the_one_built(tokenizer):
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()
    assert tokenizer.chat_template == build_tokenizer().chat_template


def test_tokenizer_round_trips_every_token_and_every_demonstration(tokenizer):
    texts = [*VOCABULARY, *(row["target"][0]["content"] for row in training_rows()[:100])]
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
    # AutoTokenizer may build another class than the saved one; then tokens vanish in encoding.
    assert len(tokenizer("\\boxed{", add_special_tokens=False)["input_ids"]) == 1
    assert len(tokenizer) == len(VOCABULARY)


def test_chat_template_renders_turns(tokenizer):
    question = [{"role": "user", "content": "12+39"}]
    answered = [*question, {"role": "assistant", "content": "\\boxed{51}"}]
    assert render_prompt(tokenizer, question, None) == "<user>12+39<assistant>"
    assert tokenizer.apply_chat_template(answered, tokenize=False) == (
        "<user>12+39<assistant>\\boxed{51}<eos>"
    )


def test_longest_responses_fit_the_scale(tokenizer):
    lengths = [
        len(tokenizer(row["target"][0]["content"], add_special_tokens=False)["input_ids"]) + 1
        for row in training_rows()
    ]
    assert max(lengths) <= 52


def solve_rate(policy, tokenizer, rows):
    prompts = [render_prompt(tokenizer, [{"role": "user", "content": row["problem"]}], None) for row in rows]
    inputs = tokenizer(prompts, return_tensors="pt", add_special_tokens=False)
    torch.manual_seed(0)
    kept = policy.generate(
        input_ids=inputs["input_ids"], max_new_tokens=52, do_sample=True, temperature=1.0, top_k=0
    )
    texts = tokenizer.batch_decode(kept[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    found = [BOX.search(text) for text in texts]
    right = [box is not None and box[1] == row["answer"] for box, row in zip(found, rows, strict=True)]
    return sum(right) / len(right)


def test_base_policy_is_small_and_its_difficulty_is_graded(tokenizer):
    from transformers import AutoModelForCausalLM

    policy = AutoModelForCausalLM.from_pretrained(FOLDER / "base_policy", dtype="float32").eval()
    assert sum(parameter.numel() for parameter in policy.parameters()) < 500_000
    assert policy.generation_config.eos_token_id == tokenizer.eos_token_id
    rates = {name: solve_rate(policy, tokenizer, suite(name)) for name in build.SUITES}
    assert rates["add2"] > 0.6
    assert rates["add2"] > rates["add3"] > rates["add4"] > rates["add5"]
    assert rates["add5"] < 0.05
    assert rates["subtract2"] > rates["subtract3"] > 0.2
