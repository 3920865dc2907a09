import json
import shutil
from pathlib import Path

import pytest

from evaluation.suite_data import Question, read_questions
from evaluation.suites import TASKS, load_suites, suite_names

DATA = Path(__file__).parent / "data" / "suites"
GOOD = {"id": "a/0", "problem": "1+1", "answer": "2"}


def write_rows(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_good_file_is_read_whole_with_its_free_columns(tmp_path):
    second = {**GOOD, "id": "a/1", "answer": ["2", "two"], "tier": 3}
    path = write_rows(tmp_path / "good.jsonl", GOOD, "", second)
    assert read_questions(path) == [Question("a/0", "1+1", ("2",)), Question("a/1", "1+1", ("2", "two"))]


def test_a_line_separator_inside_a_problem_does_not_split_its_row(tmp_path):
    row = {**GOOD, "problem": "first\u2028second\x85third"}
    path = tmp_path / "separators.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert [question.problem for question in read_questions(path)] == [row["problem"]]


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        ({"id": "a/1", "problem": "1+1"}, "column answer is missing"),
        ({"id": "a/1", "answer": "2"}, "column problem is missing"),
        ({"problem": "1+1", "answer": "2"}, "column id is missing"),
        ({**GOOD, "id": "a/1", "answer": None}, "column answer must be text, not null"),
        ({**GOOD, "id": "a/1", "answer": 2}, "column answer must be text, not 2"),
        ({**GOOD, "id": "a/1", "answer": "  "}, "column answer is empty"),
        ({**GOOD, "id": "a/1", "answer": []}, "column answer is an empty list"),
        ({**GOOD, "id": "a/1", "answer": ["2", ""]}, "column answer is empty"),
        ({**GOOD, "id": "a/1", "problem": ""}, "column problem is empty"),
        ({**GOOD, "id": "a/1", "problem": "\ud800"}, "column problem holds half"),
        (GOOD, "column id: 'a/0' is already in line 1"),
        ('{"id": "a/1", "problem"', "not JSON"),
        ("[1, 2]", "not an object"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_column(tmp_path, bad, column):
    # The empty line counts: the number is that of an editor.
    path = write_rows(tmp_path / "bad.jsonl", GOOD, "", bad)
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 3: ") as caught:
        read_questions(path)
    assert column in str(caught.value)


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"id": "\xff"}\n')
    with pytest.raises(ValueError, match="line 2: not UTF-8"):
        read_questions(path)


def test_an_empty_or_absent_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"empty.jsonl: no questions"):
        read_questions(write_rows(tmp_path / "empty.jsonl"))
    with pytest.raises(ValueError, match=r"absent.jsonl: no such file"):
        read_questions(tmp_path / "absent.jsonl")


def test_another_column_can_be_the_gold_one(tmp_path):
    path = write_rows(tmp_path / "gold.jsonl", {**GOOD, "answer_latex": r"\frac{4}{2}"})
    (question,) = read_questions(path, gold="answer_latex")
    assert question.golds == (r"\frac{4}{2}",)
    (both,) = read_questions(path, gold=["answer_latex", "answer"])
    assert both.golds == (r"\frac{4}{2}", "2")
    with pytest.raises(ValueError, match="column missing_one is missing"):
        read_questions(path, gold="missing_one")


def test_a_suite_has_its_version_split_and_the_hash_of_its_questions():
    (suite,) = load_suites(["tiny_add2"], DATA)
    assert (suite.name, suite.version, suite.split) == ("tiny_add2", "1", "in_distribution")
    assert len(suite.sha256) == 64
    assert len(suite.task.eval_docs) == 6


def test_every_shipped_task_file_is_found():
    assert len(suite_names()) == len([path for path in TASKS.rglob("*.yaml") if path.name[0] != "_"])


def test_the_tiny_suites_and_their_shipped_data_are_each_others():
    data = Path(__file__).parents[2] / "studies" / "scales" / "tiny" / "eval"
    suites = load_suites([name for name in suite_names() if name.startswith("tiny_")], data)
    assert {suite.name for suite in suites} == {f"tiny_{path.stem}" for path in data.glob("*.jsonl")}
    assert {suite.name for suite in suites if suite.split == "out_of_distribution"} == {
        suite.name for suite in suites if "subtract" in suite.name
    }


def test_an_unknown_suite_is_answered_with_near_misses():
    with pytest.raises(ValueError, match=r"unknown suite 'tiny_ad2'; did you mean tiny_add2"):
        load_suites(["tiny_ad2"], DATA)
    with pytest.raises(ValueError, match=r"unknown suite 'zzz'; there are .*tiny_add2"):
        load_suites(["zzz"], DATA)


def test_no_suite_or_one_named_twice_is_refused():
    with pytest.raises(ValueError, match="no suite is named"):
        load_suites([], DATA)
    with pytest.raises(ValueError, match="'tiny_add2' is named twice"):
        load_suites(["tiny_add2", "tiny_add3", "tiny_add2"], DATA)


def test_missing_data_and_bad_rows_are_named_at_load(tmp_path):
    with pytest.raises(ValueError, match=r"add2.jsonl.*suite_data"):
        load_suites(["tiny_add2"], None)
    with pytest.raises(ValueError, match=r"add2.jsonl: no such file"):
        load_suites(["tiny_add2"], tmp_path)
    write_rows(tmp_path / "add2.jsonl", GOOD, {**GOOD, "id": "a/1", "answer": None})
    with pytest.raises(ValueError, match=r"add2.jsonl, line 2: column answer"):
        load_suites(["tiny_add2"], tmp_path)


def test_a_free_column_may_hold_anything(tmp_path):
    write_rows(tmp_path / "add2.jsonl", {**GOOD, "tier": 1}, {**GOOD, "id": "a/1", "tier": "x"})
    (suite,) = load_suites(["tiny_add2"], tmp_path)
    assert len(suite.questions) == 2


@pytest.fixture
def tasks(tmp_path):
    shutil.copytree(TASKS, tmp_path / "tasks")
    return tmp_path / "tasks"


def task_file(split="in_distribution", version='version: "1"', extra=""):
    return (
        f"include: _base.yaml\ntask: extra\ndataset_kwargs: {{file: add2.jsonl}}\n"
        f"metadata: {{split: {split}, {version}}}\n{extra}"
    )


def test_adding_a_suite_is_adding_a_task_file(tasks):
    (tasks / "extra.yaml").write_text(task_file("out_of_distribution"))
    (suite,) = load_suites(["extra"], DATA, tasks)
    assert suite.split == "out_of_distribution"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task: [unclosed", "extra.yaml is not a task file"),
        (task_file().replace("task: extra", "task: tiny_add2"), "'tiny_add2' is missing or defined by"),
        (task_file(split="elsewhere"), "extra.yaml: metadata.split='elsewhere'"),
        (task_file(version="author: us"), "extra.yaml must give .*metadata.version"),
        (task_file(extra="generation_kwargs: {until: [], temperature: 1}"), "belong to EvalConfig"),
    ],
)
def test_an_unusable_task_file_is_named(tasks, content, message):
    (tasks / "extra.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_suites(["extra"], DATA, tasks)
