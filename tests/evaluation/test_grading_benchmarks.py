"""Every benchmark's gold answers itself and no other question of its benchmark, bar the same value."""

import json
import os
import random
import sys
from itertools import permutations
from pathlib import Path

import pytest

from evaluation.grading import Grader, GraderConfig

BENCHMARKS = Path(__file__).parents[3] / "shared" / "benchmarks"
NAMES = (
    "aime24",
    "aime25",
    "amc23",
    "amc83",
    "math500",
    "minerva_math",
    "olympiadbench",
    "arc_challenge",
    "gpqa_diamond",
)
CHOICES = ("arc_challenge", "gpqa_diamond")
# So many pairs of different golds are graded in the quick test; the slow one grades all.
SAMPLED = 3_000
# Golds of different questions that are one answer under another name or sign: see docs/grading.md.
COINCIDENCES = {
    "same number": [
        {"10,\\!080", "10080"}, {"1/3", "\\frac{1}{3}"}, {"\\frac14", "\\frac{1}{4}"}, {"+2", "2"},
    ],
    "same expression": [{"2 \\sqrt{5}", "2\\sqrt{5}"}, {"2 n", "2n"}, {"\\frac{N}{2}", "\\frac{n}{2}"}],
    "same set": [{"-2,1", "1,-2"}, {"2,3,4", "2,4,3"}],
    "degree sign": [
        {"120", "120^\\circ"}, {"30", "30^\\circ"}, {"36", "36^\\circ"}, {"90", "90^\\circ"},
        {"\\$36", "36^\\circ"}, {"\\pi", "180^\\circ"}, {"4", "4^{\\circ}"}, {"45", "45^{\\circ}"},
    ],
    "unit or percent sign": [{"15", "15\\mbox{ cm}^2"}, {"36", "\\$36"}, {"8", "8 \\%"}],
    "name of the value": [{"5", "x=5"}, {"1", "f(x)=1"}, {"1", "k=1"}, {"3", "k=3"}],
    "name of the argument": [{"f(n)=n", "f(z)=z"}],
}  # fmt: skip
EXPECTED = [pair for pairs in COINCIDENCES.values() for pair in pairs]


def rows_of(name):
    path = BENCHMARKS / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return [json.loads(line) for line in path.open()]


def gold_of(row):
    latex = row.get("answer_latex")
    return row["answer"] if latex is None else latex


def response(answer):
    return rf"The answer is \boxed{{{answer}}}."


@pytest.fixture(scope="module")
def grader():
    with Grader(GraderConfig(cache_size=1)) as grader:
        yield grader


@pytest.mark.parametrize("name", NAMES)
def test_a_gold_answers_itself_in_each_of_its_forms(name, grader):
    pairs = []
    for row in rows_of(name):
        latex, plain = gold_of(row), row["answer"]
        pairs += [(latex, latex), (latex, plain), (plain, latex), (latex, (plain, latex))]
    grades = grader.grade_all((response(answer), gold) for answer, gold in pairs)
    refused = [pair for pair, grade in zip(pairs, grades, strict=True) if not grade.correct]
    assert not refused


def accepted_pairs(grader, pairs):
    grades = grader.grade_all((response(answer), gold) for answer, gold in pairs)
    return [pair for pair, grade in zip(pairs, grades, strict=True) if grade.correct]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CHOICES])
def test_the_answer_to_another_question_is_wrong(name, grader):
    pairs = list(permutations(sorted({gold_of(row) for row in rows_of(name)}), 2))
    if len(pairs) > SAMPLED:
        pairs = random.Random(7).sample(pairs, SAMPLED)
    surprises = [pair for pair in accepted_pairs(grader, pairs) if set(pair) not in EXPECTED]
    assert not surprises


@pytest.mark.parametrize("name", CHOICES)
def test_another_letter_is_wrong(name, grader):
    letters = {row["answer"] for row in rows_of(name)}
    pairs = permutations(sorted(letters | set("ABCDEFGHIJ")), 2)
    assert not accepted_pairs(grader, list(pairs))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(
    "QUARTET_ALL_PAIRS" not in os.environ, reason="395,660 pairs take half an hour: QUARTET_ALL_PAIRS=1"
)
@pytest.mark.parametrize("name", ["math500", "minerva_math", "olympiadbench"])
def test_no_answer_to_any_other_question_is_right(name):
    pairs = list(permutations(sorted({gold_of(row) for row in rows_of(name)}), 2))
    with Grader(GraderConfig(cache_size=1, workers=os.cpu_count() or 1)) as grader:
        accepted = accepted_pairs(grader, pairs)
    sys.stderr.write(f"\n{name}: {len(pairs)} pairs, {len(accepted)} of one value\n")
    assert not [pair for pair in accepted if set(pair) not in EXPECTED]
    assert {frozenset(pair) for pair in accepted} <= {frozenset(pair) for pair in EXPECTED}
