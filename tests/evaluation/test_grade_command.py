"""The command line of the grader: what it writes, what it prints, what it refuses."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evaluation import grade as command

ROOT = Path(__file__).parents[2]
ROWS = [
    {"id": "a", "gold": "4", "prediction": "4", "form": "answer", "correct": True},
    {"id": "b", "gold": ["4", "four"], "prediction": r"It is \boxed{5}.", "form": "text", "correct": False},
    {"id": "c", "gold": "C", "prediction": "The answer is C", "form": "mcq", "correct": True},
    {
        "id": "d",
        "gold": "50",
        "prediction": r"50\%",
        "form": "answer",
        "correct": True,
        "convention": "percent",
    },
    {
        "id": "e",
        "gold": "3,1",
        "prediction": "1,3",
        "form": "answer",
        "correct": False,
        "convention": "order",
    },
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return path


def test_each_row_is_written_again_with_its_grade(file, capsys):
    assert command.main([str(file)]) == 0
    rows = [json.loads(line) for line in file.with_name("rows.graded.jsonl").open()]
    assert [{key: row[key] for key in expected} for row, expected in zip(rows, ROWS, strict=True)] == ROWS
    assert [row["outcome"] for row in rows] == ["correct", "wrong", "correct", "wrong", "correct"]
    assert [row["extracted"] for row in rows] == ["4", "5", "C", "50\\%", "1,3"]
    assert [row["how"] for row in rows] == ["exact", "number", "exact", "algebra", "items"]
    captured = capsys.readouterr()
    assert "grader: algebra, rules" in captured.err
    table = [[cell.strip() for cell in line.split("|")] for line in captured.out.splitlines()]
    rates = {row[0]: [cell.partition(" = ")[0] for cell in row[1:]] for row in table}
    assert rates["all"] == ["5", "3/5", "1/2", "1/3"]
    assert rates["without conventions"] == ["3", "3/3", "0/1", "0/2"]
    assert rates["form mcq"] == ["1", "1/1", "none", "0/1"]
    assert "3/5 = 0.600 [0.231, 0.882]" in captured.out, "Wilson's interval"


def test_rows_may_go_to_stdout(file, capsys):
    assert command.main([str(file), "--output", "-", "--percent-ignored", "--boxed-required"]) == 0
    captured = capsys.readouterr()
    outcomes = [json.loads(line)["outcome"] for line in captured.out.splitlines()]
    assert outcomes == ["correct", "wrong", "unparseable", "correct", "correct"]
    assert "accuracy" in captured.err


def test_the_second_grader_may_be_asked(file, capsys):
    assert command.main([str(file), "--output", "-", "--grader", "independent"]) == 0
    outcomes = [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]
    assert outcomes[0] == "correct"
    assert outcomes[1] == outcomes[4] == "wrong"


def test_unlabelled_rows_print_no_agreement(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"gold": "4", "prediction": "\\\\boxed{4}"}\n\n')
    assert command.main([str(path)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "rows.jsonl:2 is no JSON"),
        ("[1]", "rows.jsonl:2 is no JSON object"),
        ('{"gold": "4"}', "rows.jsonl:2 has no prediction"),
        ('{"question": "4"}', "rows.jsonl:2 has no gold and no prediction"),
        ('{"gold": 4, "prediction": "4"}', "rows.jsonl:2 has a gold that"),
        ('{"gold": [], "prediction": "4"}', "rows.jsonl:2 has a gold that"),
        ('{"gold": "4", "prediction": 4}', "rows.jsonl:2 has a prediction that"),
        ('{"gold": "4", "prediction": "4", "correct": 1}', "rows.jsonl:2 has a `correct`"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path, capsys, line, message):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"gold": "4", "prediction": "4"}}\n{line}\n')
    assert command.main([str(path)]) == 2
    assert message in capsys.readouterr().err
    assert not path.with_name("rows.graded.jsonl").exists()


def test_a_missing_file_and_a_useless_limit_are_refused(tmp_path, file, capsys):
    assert command.main([str(tmp_path / "none.jsonl")]) == 2
    assert command.main([str(file), "--workers", "0"]) == 2
    assert "workers must be at least 1" in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    started = time.perf_counter()
    code = (
        "import sys; from evaluation import grade\n"
        "try: grade.main(['--help'])\n"
        "except SystemExit: sys.exit(bool({'scipy', 'sympy', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--grader" in done.stdout
    assert time.perf_counter() - started < 20
