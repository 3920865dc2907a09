import json
import os
from dataclasses import replace

import pytest

from evaluation.grading import Grader, GraderConfig
from evaluation.records import Sample, read_eval, write_eval
from tests.evaluation.asking import CONFIG, run


@pytest.fixture(scope="module")
def grader():
    with Grader(GraderConfig(workers=1)) as grader:
        yield grader


def test_a_record_is_read_as_it_was_written(grader, tmp_path):
    result = run(grader)
    write_eval(tmp_path / "eval.json", result)
    assert read_eval(tmp_path / "eval.json") == result
    assert [path.name for path in tmp_path.iterdir()] == ["eval.json"]


def test_the_file_has_the_schema_of_the_run_directory(grader, tmp_path):
    write_eval(tmp_path / "eval.json", run(grader))
    document = json.loads((tmp_path / "eval.json").read_text())
    assert set(document) == {"seed", "protocol", "suites", "samples"}
    assert document["protocol"]["suites"] == list(CONFIG.suites)
    assert {"version", "questions"} <= set(document["suites"]["tiny_add2"])
    assert all(tuple(row) == Sample._fields for row in document["samples"])


def test_a_failed_write_leaves_the_old_record(grader, tmp_path, monkeypatch):
    result = run(grader)
    write_eval(tmp_path / "eval.json", result)

    def full(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="full"):
        write_eval(tmp_path / "eval.json", replace(result, seed=5))
    assert read_eval(tmp_path / "eval.json").seed == 1
    assert [path.name for path in tmp_path.iterdir()] == ["eval.json"]


def swap_first(document, **values):
    document["samples"][0].update(values)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda document: document["samples"].pop(), "'tiny_add3': 23"),
        (lambda document: document["samples"].append(document["samples"][0]), "a sample is there twice"),
        (lambda document: swap_first(document, outcome="right"), "unknown outcomes \\['right'\\]"),
        (lambda document: swap_first(document, extra=1), "extra"),
        (lambda document: swap_first(document, sample=9), "expected .* samples"),
        (lambda document: document.pop("protocol"), "protocol"),
        (lambda document: document.update(suites=[]), "items"),
        (lambda document: [row.update(outcome="correct") for row in document["samples"]], "give 1.0"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(grader, tmp_path, spoil, reason):
    path = tmp_path / "eval.json"
    write_eval(path, run(grader))
    document = json.loads(path.read_text())
    spoil(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=rf"eval.json is not a whole evaluation record: .*{reason}"):
        read_eval(path)
