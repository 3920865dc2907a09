"""The benchmarks: data from files and from the hub, and how multiple choice is asked."""

import json
import re
from collections import Counter
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lm_eval.tasks._yaml_loader import load_yaml

from evaluation.editions import digest, main
from evaluation.hub_data import READERS, HubDataError, read_hub
from evaluation.multiple_choice import shuffled, with_options
from evaluation.protocols import PROTOCOLS, SUITES, averaged, named_suites
from evaluation.suite_data import Question
from evaluation.suites import count_questions, load_suites, suite_names
from evaluation.task_functions import TASKS

SHARED = Path(__file__).parents[3] / "shared" / "benchmarks"
SIZES = {
    "aime24": 30, "aime25": 30, "amc23": 40, "amc83": 83, "math500": 500, "minerva_math": 272,
    "olympiadbench": 674, "arc_challenge": 1172, "gpqa_diamond": 198,
}  # fmt: skip


@pytest.fixture
def benchmarks():
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    return SHARED


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_every_benchmark_is_a_suite_of_known_size_without_its_data():
    assert set(SIZES) <= set(suite_names())
    assert count_questions(list(SIZES), None) == SIZES


def test_the_papers_suites_and_protocol():
    assert len(SUITES["paper"]) == 8
    protocol = PROTOCOLS["paper"]
    counts = {suite: protocol.samples_of(suite) for suite in SUITES["paper"]}
    assert Counter(counts.values()) == {32: 3, 1: 5}
    assert {suite for suite, k in counts.items() if k == 32} == {"aime24", "aime25", "amc83"}
    assert (protocol.temperature, protocol.top_p, protocol.max_response_tokens) == (0.6, 0.95, 8192)
    assert PROTOCOLS["greedy"].temperature == 0
    assert named_suites(["amc23", "paper", "aime24"]) == ("amc23", *SUITES["paper"])
    assert averaged(["amc23", "amc83", "aime24"]) == ("amc83", "aime24")
    assert averaged(["amc23", "aime24"]) == ("amc23", "aime24")


def test_the_published_files_are_read_whole_and_known(benchmarks):
    suites = {suite.name: suite for suite in load_suites(list(SIZES), benchmarks)}
    assert {name: len(suite.questions) for name, suite in suites.items()} == SIZES
    assert not any(suite.unlisted for suite in suites.values())
    assert {name for name, suite in suites.items() if suite.split == "out_of_distribution"} == {
        "arc_challenge",
        "gpqa_diamond",
    }
    # e-notation is parsed as LaTeX, and the published form is kept beside it.
    assert (r"3.83 \times 10^{35}", "3.83e35") in {q.golds for q in suites["minerva_math"].questions}
    for suite in suites.values():
        assert [doc["id"] for doc in suite.task.eval_docs] == [q.id for q in suite.questions]


@pytest.mark.parametrize("name", SIZES)
def test_a_changed_question_is_refused_with_its_line(benchmarks, tmp_path, name):
    rows = [json.loads(line) for line in lines(benchmarks / f"{name}.jsonl")][:4]
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (part,) = load_suites([name], tmp_path)
    assert len(part.questions) == 4
    changes = [{"problem": rows[2]["problem"] + " Twice."}, {"id": "other"}]
    if rows[2]["choices"]:
        letter = next(letter for letter in "ABCD" if letter != rows[2]["answer"])
        changes += [{"answer": letter}, {"choices": [*rows[2]["choices"][:-1], "none of these"]}]
    else:
        changes += [{"answer": "17.5"}, {"answer_latex": "17.5"}]
    for change in changes:
        spoilt = [*rows[:2], rows[2] | change, rows[3]]
        path.write_text("".join(json.dumps(row) + "\n" for row in spoilt))
        with pytest.raises(ValueError, match=rf"{name}\.jsonl, line 3: wrong checksum"):
            load_suites([name], tmp_path)
        (allowed,) = load_suites([name], tmp_path, changed_data=True)
        assert allowed.unlisted == (0 if set(change) <= {"id", "answer_latex"} else 1)


def test_an_edition_tells_nothing_of_the_questions(benchmarks, capsys):
    main([str(benchmarks / "gpqa_diamond.jsonl")])
    printed = capsys.readouterr().out.splitlines()
    assert all(re.fullmatch(r"gpqa_diamond/\d{3}\t[0-9a-f]{12}\t[0-9a-f]{12}", line) for line in printed)
    assert len(printed) == SIZES["gpqa_diamond"]


def choice(seed=None, answer="B"):
    question = Question("q/1", "Which?", (answer,), ("ant", "bee", "cat", "dog"))
    return shuffled(question, seed)


def test_options_are_shuffled_by_seed_and_question_alone_and_the_answer_goes_along():
    orders = [choice(seed).choices for seed in range(200)]
    assert len(set(orders)) == 24
    for seed in range(200):
        asked = choice(seed)
        assert asked.choices["ABCD".index(asked.golds[0])] == "bee"
        assert asked == choice(seed)
    assert Counter(choice(seed).golds[0] for seed in range(4000)).most_common()[-1][1] > 900
    assert choice(None).choices == ("ant", "bee", "cat", "dog")


def test_multiple_choice_is_asked_with_its_options_and_for_a_letter():
    text = with_options(choice())
    assert text.startswith("Which?\n\nA. ant\nB. bee\nC. cat\nD. dog\n\n")
    assert "letter" in text
    assert r"\boxed{}" in text
    assert with_options(Question("q", "1+1", ("2",))) == "1+1"


def test_an_order_of_options_does_not_make_another_question():
    assert {digest(choice(seed)) for seed in range(20)} == {digest(choice())}
    assert digest(choice()) != digest(choice(answer="A"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "E"}, "one letter of ABCD"),
        ({"answer": "b"}, "one letter of ABCD"),
        ({"choices": ["a"]}, "2 to 10 options"),
        ({"choices": "abcd"}, "2 to 10 options"),
        ({"choices": ["a", "", "c", "d"]}, "column choices is empty"),
        ({"choices": ["a", 2, "c", "d"]}, "column choices must be text"),
    ],
)
def test_impossible_choices_are_refused_with_their_line(tmp_path, change, reason):
    row = {"id": "gpqa_diamond/000", "problem": "?", "answer": "B", "choices": ["a", "b", "c", "d"]}
    (tmp_path / "gpqa_diamond.jsonl").write_text(json.dumps(row | change) + "\n")
    with pytest.raises(ValueError, match=rf"gpqa_diamond.jsonl, line 1: .*{reason}"):
        load_suites(["gpqa_diamond"], tmp_path, changed_data=True)


HUB_ROWS = {
    "aime24": ({"ID": "2024-I-1", "Problem": "Find x.", "Answer": 33}, ("Find x.", ("33",), None)),
    "aime25": ({"problem": "Find x.", "answer": "33", "id": "0"}, ("Find x.", ("33",), None)),
    "amc23": ({"id": 0, "question": "Find x.", "answer": "27.0", "url": "u"}, ("Find x.", ("27",), None)),
    "amc83": ({"id": 0, "problem": "Find x.", "answer": 142.0, "url": "u"}, ("Find x.", ("142",), None)),
    "math500": (
        {"problem": "Find x.", "answer": r"\frac12", "subject": "Algebra", "level": 3,
         "unique_id": "test/algebra/1.json", "solution": "s"},
        ("Find x.", (r"\frac12",), None),
    ),
    "minerva_math": ({"question": "Find x.", "answer": "3.5"}, ("Find x.", ("3.5",), None)),
    "olympiadbench": (
        {"id": 1606, "question": "Find x.", "final_answer": ["$2$", "3"], "subfield": "Algebra"},
        ("Find x.", ("$2$, 3",), None),
    ),
    "arc_challenge": (
        {"id": "M", "question": "Which?", "choices": {"text": ["ant", "bee"], "label": ["1", "2"]},
         "answerKey": "2"},
        ("Which?", ("B",), ("ant", "bee")),
    ),
    "gpqa_diamond": (
        {"Question": "Which?\n", "Correct Answer": "ant ", "Incorrect Answer 1": "bee",
         "Incorrect Answer 2": "cat", "Incorrect Answer 3": "dog", "High-level domain": "Biology"},
        ("Which?", ("A",), ("ant", "bee", "cat", "dog")),
    ),
}  # fmt: skip


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Stand in for the hub: each data set is a folder with a parquet file of its own columns."""
    load = datasets.load_dataset
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def from_folder(path, name, *, split):
        return load(str(tmp_path / path.replace("/", "--")), split=split, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", from_folder)

    def add(path, split, rows):
        folder = tmp_path / path.replace("/", "--")
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}-00000-of-00001.parquet")

    return add


@pytest.mark.parametrize("name", SIZES)
def test_the_hubs_columns_are_read_through_the_task(hub, name):
    row, (problem, golds, choices) = HUB_ROWS[name]
    described = load_yaml(TASKS / "paper" / f"{name}.yaml", resolve_func=False)["dataset_kwargs"]["hub"]
    assert described["reader"] == name
    hub(described["path"], described["split"], [row])
    (suite,) = load_suites([name], None)
    (question,) = suite.questions
    assert (question.problem, question.golds, question.choices) == (problem, golds, choices)
    assert suite.unlisted == 1
    assert suite.task.eval_docs[0]["gold"] == list(golds)


def test_levels_of_math_are_kept(hub):
    hub("HuggingFaceH4/MATH-500", "test", [HUB_ROWS["math500"][0]])
    (suite,) = load_suites(["math500"], None)
    assert (suite.questions[0].id, suite.questions[0].level) == ("math500/test/algebra/1", "3")
    assert suite.questions[0].subject == "Algebra"


def test_a_hub_that_changed_its_columns_is_named(hub):
    hub("math-ai/aime25", "test", [{"question": "Find x.", "answer": "33"}])
    with pytest.raises(HubDataError, match=r"math-ai/aime25, test, row 0: .*'problem'.*question, answer"):
        load_suites(["aime25"], None)


def test_without_the_hub_a_folder_is_asked_for(monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(HubDataError, match=r"math-ai/aime25 cannot be loaded .*--data"):
        read_hub("aime25", "math-ai/aime25", "test")


def test_every_reader_has_a_task_and_a_row_here():
    assert set(READERS) == set(SIZES) == set(HUB_ROWS)
