"""Answers are read fast, and told as wrong as if they were read slowly."""

import hashlib
import json

import pytest

from evaluation.records import answers, read_evaluation
from studies.reporting import answer_files
from studies.reporting.answer_files import read_answers
from tests.studies.recorded import Recorded, edit_json


def outcome(arm, seed, suite, question, sample):
    return ("correct", "wrong", "unparseable", "timeout", "error")[(3 * question + sample) % 5]


@pytest.fixture
def run(tmp_path):
    study = Recorded(tmp_path / "toy", seeds=(0,), questions={"add": 7, "sub": 5}, samples=3, outcome=outcome)
    study.write()
    return study.run("grpo", 0)


def test_both_ways_of_reading_give_the_same(run, monkeypatch):
    header, fast = read_answers(run)
    monkeypatch.setattr(answer_files, "_read_fast", lambda *_: None)
    again, slow = read_answers(run)
    assert header == again == read_evaluation(run)
    assert fast.equals(slow)
    told = [(each.suite, each.question, each.sample, each.earned, each.truncated) for each in answers(run)]
    columns = (fast[name].to_pylist() for name in ("suite", "question", "sample", "earned", "truncated"))
    assert list(zip(*columns, strict=True)) == told
    assert any(earned is None for *_, earned, _ in told), "some have no verdict"


def test_what_is_as_it_should_be_is_read_once(run, monkeypatch):
    def slow(directory):
        raise AssertionError("read line by line")

    monkeypatch.setattr(answer_files, "read_evaluation", slow)
    assert len(read_answers(run)[1]) == 12 * 3


def lines_of(run):
    return (run / "samples.jsonl").read_text().splitlines()


def put(run, lines, end="\n"):
    """Write the samples with the digest that fits them: their contents alone are wrong."""
    text = "\n".join(lines) + end
    (run / "samples.jsonl").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    edit_json(run / "eval.json", lambda held: held.update(samples_sha256=digest))


def changed(key, value, line=4):
    def change(run):
        lines = lines_of(run)
        row = json.loads(lines[line])
        if value is None:
            del row[key]
        else:
            row[key] = value
        put(run, [*lines[:line], json.dumps(row), *lines[line + 1 :]])

    return change


def told(change):
    return lambda run: edit_json(run / "eval.json", change)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (changed("outcome", "perfect"), r"samples.jsonl, line 5: unknown outcome 'perfect'"),
        (changed("extra", 1), r"line 5: no sample: missing \[\], unknown \['extra'\]"),
        (changed("level", None), r"line 5: no sample: missing \['level'\], unknown \[\]"),
        (changed("sample", 0), r"sample \('add', 'add-1', 0\) is there twice"),
        (changed("sample", 7), r"a sample of add is not one of 3"),
        (changed("sample", -1), r"a sample of add is not one of 3"),
        (changed("suite", "mul"), r"announces .* samples, but there are .*'mul': 1"),
        (changed("outcome", "wrong", line=0), r"add has avg_at_k="),
        (lambda run: put(run, lines_of(run)[:-1]), r"announces .* samples, but there are"),
        (lambda run: put(run, lines_of(run), end=""), r"line 36: the line is cut off"),
        (lambda run: put(run, [*lines_of(run)[:3], "{", *lines_of(run)[4:]]), r"samples.jsonl, line 4: "),
        (lambda run: put(run, [" ".join(lines_of(run)[:2]), *lines_of(run)[2:]]), r"samples.jsonl, line 1: "),
        (
            lambda run: edit_json(run / "eval.json", lambda held: held.update(finished=False)),
            r"is not finished",
        ),
        (
            lambda run: edit_json(run / "eval.json", lambda held: held["suites"]["sub"].update(avg_at_k=0.9)),
            r"sub has avg_at_k=0.9, its samples",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(run, spoil, message):
    spoil(run)
    with pytest.raises(ValueError, match=message):
        read_answers(run)
