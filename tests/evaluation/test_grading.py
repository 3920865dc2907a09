"""One response, one outcome: what the grader takes for equal, and what it never does silently."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.grading import OUTCOMES, Grader, GraderConfig, grader_version
from evaluation.grading.extraction import last_box

ROOT = Path(__file__).parents[2]
CASES = [json.loads(line) for line in (Path(__file__).parent / "data/grading.jsonl").open()]


@pytest.fixture(scope="module")
def grader():
    with Grader(GraderConfig(time_limit=2.0)) as grader:
        yield grader


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["response"][:40]))
def test_each_sample_gets_its_outcome(grader, case):
    grade = grader.grade(case["response"], case["gold"])
    assert grade.outcome == case["outcome"], grade
    assert grade.correct is (case["outcome"] == "correct")


def test_the_samples_reach_every_outcome():
    assert {case["outcome"] for case in CASES} == set(OUTCOMES)


def test_any_gold_form_may_match(grader):
    assert grader.grade(r"\boxed{x+1}", ["7", "1+x"]).outcome == "correct"
    assert grader.grade(r"\boxed{x+1}", ["7", "x+2"]).outcome == "wrong"


def test_no_gold_form_is_an_error():
    with pytest.raises(ValueError, match="gold"):
        Grader().grade(r"\boxed{1}", [])


def test_gold_and_answer_keep_their_sides(grader):
    # An expression may solve the gold's equation; an equation is no value of the gold's expression.
    assert grader.grade(r"\boxed{\frac{6}{x}}", "xy = 6").outcome == "correct"
    assert grader.grade(r"\boxed{xy = 6}", r"\frac{6}{x}").outcome == "wrong"


def test_grade_all_keeps_the_order(grader):
    grades = grader.grade_all((case["response"], case["gold"]) for case in CASES)
    assert [grade.outcome for grade in grades] == [case["outcome"] for case in CASES]


def test_a_remembered_grade_is_the_same_grade():
    with Grader(GraderConfig(time_limit=1.0)) as grader:
        for case in CASES:
            first, second = (grader.grade(case["response"], case["gold"]) for _ in range(2))
            assert first[:3] == second[:3]
        workers = [worker.pid for worker in grader._pool.workers]
        seconds = grader.grade(CASES[-1]["response"], CASES[-1]["gold"]).seconds
    assert any(workers)
    assert seconds < 0.5, "the timeout was graded again"


def test_the_cache_forgets_the_oldest():
    with Grader(GraderConfig(cache_size=2)) as grader:
        for n in range(5):
            grader.grade(rf"\boxed{{x+{n}}}", "y")
        assert [question.answer for question in grader._cache.verdicts] == ["x+3", "x+4"]


def test_without_a_box_the_answer_may_be_found_in_the_text():
    with Grader(GraderConfig(boxed_required=False)) as grader:
        assert grader.grade("So the answer is $\\frac{12}{4}$.", "3")[:2] == ("correct", "\\frac{12}{4}")
        assert grader.grade("Final answer: 4", "3").outcome == "wrong"
        assert grader.grade("3 \\boxed{4}", "3").outcome == "wrong", "a box is the answer"
        assert grader.grade("\\boxed 3", "3").outcome == "correct"
        assert grader.grade("It may be 4, more likely 3", "3").outcome == "unparseable", "a guess"
        assert grader.grade("We need to find $\\frac{6}{2}$.", "3").outcome == "unparseable", "the task"
        assert grader.grade("So it is $ \n 3 \n $", "3").outcome == "unparseable", "stray dollar signs"
        assert grader.grade("So \\[x = 3", "3").outcome == "unparseable", "cut off"
        assert grader.grade("<answer>3</answer>", "3").outcome == "correct"
        assert grader.grade("#### 3", "3").outcome == "correct"
        assert grader.grade("The answer is yes.", "Yes").outcome == "correct"
        assert grader.grade("Both are equally likely. So $x$ must be $3$.", "3").outcome == "correct"
        assert grader.grade("答案是3。", "3").outcome == "correct"
        assert grader.grade("sqrt(3)/2", "\\frac{\\sqrt{3}}{2}").outcome == "correct"
        assert grader.grade("The answer is B, never A.", "B")[:2] == ("correct", "B")


@pytest.mark.parametrize(("field", "value"), [("time_limit", 0), ("memory_limit", 1000), ("workers", 0)])
def test_a_useless_limit_is_rejected(field, value):
    with pytest.raises(ValueError, match=field):
        GraderConfig(**{field: value})


@pytest.mark.parametrize(
    "text", [r"\boxed{" * 150_000, "\\" * 1_000_000, "{" * 1_000_000, r"\boxed{a}" * 100_000]
)
@pytest.mark.timeout(20)
def test_finding_the_box_takes_linear_time(text):
    assert last_box(text) in (None, "a")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["a", "A", "1 ", "sqrt(", "^(", "٥", "1e", ". ", "|", "(a,", "x=1,"])
def test_rewriting_never_hangs(unit):
    with Grader(GraderConfig(time_limit=0.5, boxed_required=False)) as grader:
        for text in (unit * 500_000, rf"\boxed{{{unit * 500_000}}}", rf"\boxed{{{unit * 100}}}"):
            assert grader.grade(text, "5").seconds < 5


def test_grading_loads_nothing_heavy():
    heavy = "{'torch', 'transformers', 'math_verify', 'sympy', 'numpy'} & set(sys.modules)"
    code = f"import sys, evaluation.grading; sys.exit(repr({heavy}) if {heavy} else 0)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_percent_sign_means_nothing_or_a_hundredth():
    with Grader() as ignoring, Grader(GraderConfig(percent_ignored=False)) as strict:
        for grader in (ignoring, strict):
            assert grader.grade(r"\boxed{0.3}", r"30\%").correct
            assert grader.grade(r"\boxed{30}", r"30\%").correct, "the sign left out as a unit may be"
            assert not grader.grade(r"\boxed{31\%}", r"30\%").correct
        assert ignoring.grade(r"\boxed{30\%}", "30").correct
        assert not strict.grade(r"\boxed{30\%}", "30").correct


def test_the_last_box_is_the_answer_unless_and_joins_boxes_to_a_list(grader):
    assert grader.grade(r"\boxed{3} \text{ and } \boxed{8}", "8, 3").correct
    assert grader.grade(r"$\boxed{a=3}$, $\boxed{b=8}$", "a=3, b=8").correct
    assert grader.grade(r"\boxed{3} and \boxed{8}", "8").correct, "the last box"
    assert not grader.grade(r"\boxed{3} and \boxed{8}", "3").correct
    assert not grader.grade(r"\boxed{3} and then \boxed{8}", "3, 8").correct
    assert not grader.grade(r"\boxed{3} \boxed{8}", "3, 8").correct


def test_golds_that_cannot_be_read_are_listed(grader):
    golds = [r"\frac{1}{2}", "C", r"\text{even}", "(1, 2)", r"1, 2, \ldots, n", "204_5", "?!"]
    assert grader.check_golds(golds) == [r"\text{even}", r"1, 2, \ldots, n", "204_5", "?!"]


def test_the_version_names_our_rules_and_math_verify():
    assert re.fullmatch(r"rules \d+, math-verify \d+\.\d+\.\d+", grader_version())
