"""The second grader: its own rules, the same shape and the same limits."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.grading import AnswerGrader, Grader, GraderConfig, IndependentGrader

ROOT = Path(__file__).parents[2]
RULES = ROOT / "evaluation" / "grading" / "independent_rules.py"


@pytest.fixture(scope="module")
def grader():
    with IndependentGrader(GraderConfig(time_limit=5.0)) as grader:
        yield grader


@pytest.mark.parametrize(
    ("answer", "gold", "outcome", "how"),
    [
        ("7", "7", "correct", "exact"),
        (r"\frac34", r"\dfrac{3}{4}", "correct", "string"),
        (r"\text{odd}", r"\text{odd }", "correct", "string"),
        (r"x^2 + 2 x + 1", r"(x+1)^2", "correct", "sympy"),
        (r"\sqrt{8}", r"2 \sqrt{2}", "correct", "sympy"),
        (r"x + 2", "x + 1", "wrong", "sympy"),
        (r"0.333333333", r"\frac{1}{3}", "correct", "sympy"),
        ("100000000001", "100000000000", "wrong", "sympy"),
        ("?!", "C", "wrong", "string"),
        ("9^{9^{9}}", "5", "unparseable", "limit:tower"),
        ("", "5", "unparseable", "no_answer"),
    ],
)
def test_its_rules(grader, answer, gold, outcome, how):
    grade = grader.grade(rf"\boxed{{{answer}}}", gold)
    assert (grade.outcome, grade.how) == (outcome, how)


def test_any_gold_form_may_match(grader):
    assert grader.grade(r"\boxed{x+1}", ["7", "1+x"]).correct
    with pytest.raises(ValueError, match="gold"):
        grader.grade(r"\boxed{x+1}", [])


def test_an_endless_answer_ends_by_the_same_limits():
    power = rf"\boxed{{{'(1+' * 7}x{')^{999}' * 7} + 1}}"
    with IndependentGrader(GraderConfig(time_limit=0.5, workers=1)) as grader:
        grader.grade(r"\boxed{x+1}", "1+x")
        assert grader.grade(power, power.replace("+ 1}", "+ 2}")[7:-1]).outcome in (
            "timeout",
            "error",
            "wrong",
        )
        assert grader.grade(r"\boxed{y+1}", "1+y").correct


def test_both_graders_have_one_shape(grader):
    for each in (grader, Grader()):
        typed: AnswerGrader = each
        assert [grade.outcome for grade in typed.grade_all([(r"\boxed{3}", "3"), ("", "3")])] == [
            "correct",
            "unparseable",
        ]


def test_it_shares_no_comparison_and_never_loads_math_verify():
    imported = {
        node.module for node in ast.walk(ast.parse(RULES.read_text())) if isinstance(node, ast.ImportFrom)
    }
    assert {name for name in imported if name.startswith("evaluation")} == {"evaluation.grading.outcomes"}
    code = (
        "import evaluation.grading.independent_rules as rules, sys; rules.warm_up({}); "
        "sys.exit(bool({'math_verify', 'latex2sympy2_extended'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
