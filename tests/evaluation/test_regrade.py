"""Stored answers graded again: what the two graders differ on, and how much a score depends on it."""

import dataclasses
import json
import math

import pytest

from evaluation.config import EvalConfig
from evaluation.grading import Grade
from evaluation.records import Evaluation, SuiteInfo, answers, read_evaluation, write_evaluation
from evaluation.regrade import main
from evaluation.regrading import regrade
from tests.evaluation.rows import row

ROWS = [
    # Two questions of three samples: 2/3 and 1/3 as stored.
    row("one", "a", 0, "correct", response=r"\boxed{\frac{1}{2}}", golds=(r"\frac{1}{2}",)),
    row("one", "a", 1, "correct", response=r"\boxed{(1, 2]}", golds=(r"(1, 3]",)),
    row("one", "a", 2, "wrong", response=r"\boxed{0.25}", golds=(r"\frac{1}{2}",)),
    row("one", "b", 0, "correct", response=r"\boxed{7}", golds=("7",)),
    row("one", "b", 1, "timeout", response=r"\boxed{7}", golds=("7",)),
    row("one", "b", 2, "error", response=r"\boxed{8}", golds=("7",)),
]


@pytest.fixture
def stored(tmp_path):
    protocol = EvalConfig(suites=("one",), samples=3)
    info = SuiteInfo("1", 2, 3, None, "f" * 64)
    folder = tmp_path / "stored"
    folder.mkdir()
    write_evaluation(folder, Evaluation(0, protocol, {"one": info}, {}, "old rules"), ROWS)
    return folder


class Said:
    """A grader that says what it is told."""

    def __init__(self, outcomes):
        self.outcomes = iter(outcomes)

    def grade_all(self, pairs):
        return [Grade(next(self.outcomes), "again", "said", 0.0) for _ in pairs]


def test_marks_are_counted_by_hand(stored, tmp_path):
    said = Said(["correct", "wrong", "wrong", "correct", "correct", "correct"])
    marks = regrade(read_evaluation(stored), stored, said, "new rules", tmp_path / "again")["one"]
    # Stored: a 2/3; b 1 of 2 with a verdict. Again: a 1/3, b 3/3.
    assert marks.stored().mean == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert marks.again().mean == pytest.approx((1 / 3 + 1) / 2)
    assert marks.difference().mean == pytest.approx((-1 / 3 + 1 / 2) / 2)
    assert (marks.taken_back(), marks.added()) == (1, 2)
    # Disputed: a's second, b's second and third. Wrong: a 1/3, b 1/3; right: a 2/3, b 1.
    assert marks.bounds() == (pytest.approx(1 / 3), pytest.approx((2 / 3 + 1) / 2))


def test_what_is_written_is_an_evaluation_of_its_own(stored, tmp_path):
    said = Said(["correct", "wrong", "wrong", "correct", "correct", "correct"])
    regrade(read_evaluation(stored), stored, said, "new rules", tmp_path / "again")
    again = read_evaluation(tmp_path / "again")
    assert (again.grader, again.suites["one"].avg_at_k) == ("new rules", pytest.approx((1 / 3 + 1) / 2))
    for old, new in zip(ROWS, answers(tmp_path / "again"), strict=True):
        kept = {"response", "golds", "tokens", "seed", "prompt_sha256"}
        assert all(getattr(old, name) == getattr(new, name) for name in kept)
        assert (new.grader_version, new.extracted) == ("new rules", "again")
    listed = [json.loads(line) for line in (tmp_path / "again" / "disagreements.jsonl").open()]
    assert [(each["question"], each["sample"]) for each in listed] == [("a", 1), ("b", 1), ("b", 2)]
    assert (listed[0]["stored"]["outcome"], listed[0]["again"]["outcome"]) == ("correct", "wrong")


@pytest.mark.parametrize("grader", ["independent", "algebra"])
def test_the_command_tells_what_either_grader_takes_back(stored, capsys, grader):
    before = {path: path.read_bytes() for path in stored.iterdir()}
    assert main([str(stored), "--grader", grader]) == 0
    report = capsys.readouterr().out
    assert report == (stored / f"regraded-{grader}" / "regrade.md").read_text()
    assert "## Disagreements: 2\n" in report  # (1, 2] is not (1, 3], and 7 is 7
    assert "| one: a | 1 | (1, 3\\] | correct (1) | wrong ((1, 2\\]) |" in report
    assert "Stored grades are by old rules" in report
    assert all(path.read_bytes() == content for path, content in before.items())


def test_an_agreeing_grader_leaves_the_score_as_it_is(stored, tmp_path):
    rows = [dataclasses.replace(each, outcome="correct") for each in ROWS]
    header = read_evaluation(stored)
    write_evaluation(stored, header.asked, rows)
    marks = regrade(read_evaluation(stored), stored, Said(["correct"] * 6), "same", tmp_path / "again")["one"]
    assert marks.bounds() == (1.0, 1.0)
    assert marks.difference().mean == 0
    assert not math.isnan(marks.stored().mean)


@pytest.mark.parametrize(("more", "reason"), [((), "eval.json is missing"), (("--output", "."), None)])
def test_what_cannot_be_graded_again_is_refused(tmp_path, capsys, stored, more, reason, monkeypatch):
    monkeypatch.chdir(stored)
    folder = stored if reason is None else tmp_path
    assert main([str(folder), *more]) == 2
    assert (reason or "is the evaluation itself") in capsys.readouterr().err
