import json
import os
from dataclasses import replace

import pytest

from evaluation.config import EvalConfig
from evaluation.records import Evaluation, SuiteInfo, answers, read_evaluation, read_header, write_evaluation
from evaluation.samples import append_samples, resume_samples
from evaluation.tally import tally
from tests.evaluation.rows import row

PROTOCOL = EvalConfig(suites=("one", "two"), samples=2, suite_samples={"two": 3})
INFOS = {
    "one": SuiteInfo("1", 2, 2, "in_distribution", "f" * 64),
    "two": SuiteInfo("1", 1, 3, None, "e" * 64),
}
ROWS = [
    row("one", "a", 0, "correct", level="3"),
    row("one", "a", 1, "wrong", extracted=None, truncated=True),
    row("one", "b", 0, "error", response="ends in \u2028 and \x00"),
    row("one", "b", 1, "correct", golds=("1", r"\frac{2}{2}")),
    row("two", "a", 0, "timeout"),
    row("two", "a", 1, "unparseable"),
    row("two", "a", 2, "correct"),
]


@pytest.fixture
def written(tmp_path):
    return write_evaluation(tmp_path, Evaluation(7, PROTOCOL, INFOS, {"model": "m"}, "grader 1"), ROWS)


def test_a_record_is_read_as_it_was_written(written, tmp_path):
    assert read_evaluation(tmp_path) == written
    assert list(answers(tmp_path)) == ROWS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eval.json", "samples.jsonl"]


def test_results_are_computed_from_the_samples(written):
    # a: one of two correct; b: one of one with a verdict; two: one of three.
    one, two = written.suites["one"], written.suites["two"]
    assert one.avg_at_k == pytest.approx((1 / 2 + 1) / 2)
    assert one.standard_error == pytest.approx((1 / 8) ** 0.5 / 2**0.5)
    assert two.avg_at_k == pytest.approx(1 / 3)
    assert two.standard_error is None
    assert dict(one.outcomes) == {"correct": 2, "wrong": 1, "unparseable": 0, "timeout": 0, "error": 1}
    assert (one.truncated, one.tokens, two.tokens) == (1, 36, 27)


def test_rows_are_one_object_a_line_with_all_that_grading_again_needs(written, tmp_path):
    lines = (tmp_path / "samples.jsonl").read_bytes().split(b"\n")
    assert lines.pop() == b""
    first = json.loads(lines[0])
    assert len(lines) == len(ROWS)
    assert {"golds", "response", "outcome", "prompt_sha256", "seed", "task_version", "grader_version"} <= set(
        first
    )


def test_a_failed_write_leaves_the_old_record(written, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="full"):
        written.finish(tmp_path, tally(ROWS))
    assert read_header(tmp_path) == written
    assert not list(tmp_path.glob(".eval*"))


def change_line(path, number, **values):
    lines = path.read_text().splitlines(keepends=True)
    lines[number] = json.dumps(json.loads(lines[number]) | values) + "\n"
    path.write_text("".join(lines))


def change_header(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda document: document.pop("protocol"), "protocol"),
        (lambda document: document.update(suites=[]), "items"),
        (lambda document: document.update(extra=1), "extra"),
        (lambda document: document["suites"]["one"].update(questions=3), r"'one': 6.*'one': 4"),
        (lambda document: document["suites"]["one"].update(avg_at_k=0.5), r"avg_at_k=0.5, its samples 0.75"),
        (lambda document: document.update(finished=False), "not finished"),
    ],
)
def test_a_header_that_contradicts_its_samples_is_refused(written, tmp_path, change, reason):
    change_header(tmp_path / "eval.json", change)
    with pytest.raises(ValueError, match=reason):
        read_evaluation(tmp_path)


def test_changed_samples_are_refused(written, tmp_path):
    change_line(tmp_path / "samples.jsonl", 1, outcome="correct")
    with pytest.raises(ValueError, match=r"samples.jsonl was changed"):
        read_evaluation(tmp_path)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([*ROWS[:-1], ROWS[0]], "is there twice"),
        ([replace(ROWS[0], sample=5), *ROWS[1:]], "a sample of one is not one of 2"),
        (ROWS[1:], "announces"),
    ],
)
def test_samples_that_do_not_belong_together_are_refused(tmp_path, rows, reason):
    write_evaluation(tmp_path, Evaluation(7, PROTOCOL, INFOS), rows)
    with pytest.raises(ValueError, match=reason):
        read_evaluation(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{}\n", "missing"),
        (b'{"suite": 1', "cut off"),
        (b"[]\n", "no sample"),
    ],
)
def test_a_line_that_is_no_sample_is_named(tmp_path, line, reason):
    path = tmp_path / "samples.jsonl"
    append_samples(path, ROWS[:2])
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(ValueError, match=rf"samples.jsonl, line 3: .*{reason}"):
        list(answers(tmp_path))


BATCHES = [[each.key for each in ROWS[:3]], [each.key for each in ROWS[3:5]], [each.key for each in ROWS[5:]]]


@pytest.mark.parametrize("kept", range(len(ROWS) + 1))
@pytest.mark.parametrize("torn", [0, 7])
def test_whole_batches_are_kept_and_what_follows_is_cut_off(tmp_path, kept, torn):
    path = tmp_path / "samples.jsonl"
    append_samples(path, ROWS[:kept])
    whole = path.read_bytes() if path.exists() else b""
    path.write_bytes(whole + b'{"suite"'[:torn])
    batches = [(0, 3), (3, 5), (5, 7)]
    expected = [ROWS[a:b] for a, b in batches if b <= kept]
    assert list(resume_samples(path, BATCHES)) == expected
    append_samples(path, [each for a, b in batches[len(expected) :] for each in ROWS[a:b]])
    assert list(answers(tmp_path)) == ROWS


def test_another_evaluations_samples_are_not_gone_on_with(tmp_path):
    path = tmp_path / "samples.jsonl"
    append_samples(path, ROWS[3:])
    with pytest.raises(ValueError, match="another evaluation's"):
        list(resume_samples(path, BATCHES))
