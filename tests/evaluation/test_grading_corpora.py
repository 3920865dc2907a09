"""The grader on published graders' own tests, known hazards, the paper's reward and our own classes."""

import json
import sys
from pathlib import Path

import pytest

from evaluation import grade as command
from evaluation.grading import OUTCOMES, Grader, GraderConfig
from evaluation.grading.worker_process import GRACE

SHARED = Path(__file__).parents[3] / "shared"
CLASSES = Path(__file__).parent / "data" / "grading_classes.jsonl"
# How `python -m evaluation.grade` grades by default.
PLAIN = {"boxed_required": False, "percent_ignored": False}


def read_rows(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return [json.loads(line) for line in path.open()]


def test_the_paper_s_reward_is_reproduced():
    # All 22 agree: a percent sign or a degree sign is dropped here as it is there.
    (cases,) = read_rows("goldens/reference_reward.json")
    with Grader() as grader:
        for case in cases:
            grade = grader.grade(case["response"], case["ground_truth"])
            assert float(grade.correct) == case["reward"], (case, grade)


def graded_by_command(file, tmp_path):
    output = tmp_path / "graded.jsonl"
    assert command.main([str(file), "--output", str(output)]) == 0
    return [json.loads(line) for line in output.open()]


def rates(rows):
    """Return accuracy and false-positive rate."""
    accepted = [row["outcome"] == "correct" for row in rows]
    right = [row["correct"] for row in rows]
    hits = sum(a == r for a, r in zip(accepted, right, strict=True))
    false_positives = sum(a and not r for a, r in zip(accepted, right, strict=True))
    return hits / len(rows), false_positives / right.count(False)


def test_accuracy_on_published_grader_tests(tmp_path, capsys):
    read_rows("graders/grader.jsonl")
    rows = graded_by_command(SHARED / "graders/grader.jsonl", tmp_path)
    sys.stderr.write(capsys.readouterr().out)
    accuracy, false_positives = rates(rows)
    assert accuracy >= 0.93
    assert false_positives <= 0.03
    uncontested = rates([row for row in rows if not row["convention"]])
    assert uncontested[0] >= 0.95
    assert uncontested[1] <= 0.015


def test_every_class_of_notation_is_graded_as_decided(tmp_path):
    rows = graded_by_command(CLASSES, tmp_path)
    assert len({row["class"] for row in rows}) >= 14
    wrong = [row for row in rows if (row["outcome"] == "correct") != row["correct"]]
    assert not wrong, wrong
    for name in {row["class"] for row in rows} - {"degrees", "vectors", "percent", "ratio"}:
        assert sum(not row["correct"] for row in rows if row["class"] == name) >= 2, (
            f"{name} tests no refusal"
        )


def hazards():
    for row in read_rows("graders/hazards.jsonl"):
        # A long input is stored as a Python expression of literals, joins and ranges.
        response = row["prediction"] if row["prediction"] is not None else eval(row["prediction_expr"])
        yield row["id"], row["gold"], response, row["should_be_correct"]


def start(grader):
    grader.grade_all((rf"\boxed{{x+{n}}}", "x") for n in range(4))


def test_every_known_hazard_gets_its_outcome_in_time():
    config = GraderConfig(**PLAIN)
    with Grader(config) as grader:
        start(grader)
        grades = [(name, right, grader.grade(response, gold)) for name, gold, response, right in hazards()]
    slowest = max(grade.seconds for *_, grade in grades)
    sys.stderr.write(f"\n{len(grades)} hazards, slowest {slowest:.2f} s\n")
    assert all(grade.outcome in OUTCOMES for *_, grade in grades)
    assert slowest < config.time_limit + GRACE + 1
    missed = [(name, grade) for name, right, grade in grades if grade.correct != right]
    assert not missed


def test_known_hazards_where_a_box_is_required():
    wrongly = []
    with Grader(GraderConfig(time_limit=1.5)) as grader:
        for name, gold, response, right in hazards():
            if grader.grade(response, gold).correct and not right:
                wrongly.append(name)
    # The paper's reward takes 50% for 50.
    assert wrongly == ["percent", "num_21"]


def test_no_hazard_changes_the_grade_of_a_neighbour():
    fine = [(rf"So \boxed{{\frac{{{n}x}}{{7}}}}.", rf"\frac{{{n}}}{{7}}x", True) for n in range(2, 12)]
    fine += [(rf"So \boxed{{{n}x+1}}.", f"{n}x+2", False) for n in range(2, 12)]
    poisons = {}
    for row in read_rows("graders/hazards.jsonl"):
        poisons.setdefault(row["category"], []).append(row)
    with Grader(GraderConfig(time_limit=0.5, **PLAIN)) as grader:
        start(grader)
        for category, rows in poisons.items():
            hazard = rows[len(category) % len(rows)]
            poison = hazard["prediction"] or eval(hazard["prediction_expr"])
            batch = [
                pair for response, gold, _ in fine for pair in ((poison, hazard["gold"]), (response, gold))
            ]
            grades = grader.grade_all(batch)
            assert [grade.correct for grade in grades[1::2]] == [right for *_, right in fine], category
            assert len({grade.outcome for grade in grades[::2]}) == 1, category
            grader._cache.verdicts.clear()
