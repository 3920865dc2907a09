"""The command line of comparisons, and what it writes."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.compare import main

ROOT = Path(__file__).parents[3]
FILES = ["comparison.csv", "comparison.md", "forest.pdf", "forest.png"]
WORST, BEST = " ".join("wwwwwwww"), " ".join("cccccccc")
LEVELS = {"math": "1 1 1 1 2 2 2 2"}


def cells(text, number=0):
    """Return the rows of a Markdown table as dictionaries."""
    tables, last = [], None
    for line in text.splitlines():
        if line.startswith("| "):
            if last is None:
                tables.append([])
            tables[-1].append([cell.strip() for cell in line.strip("|").split(" | ")])
        last = line if line.startswith("| ") else None
    header, _, *rows = tables[number]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_the_table_says_what_was_computed(write, compare, tmp_path):
    code, out, err = compare(write("base", {"math": WORST}), write("hpt", {"math": BEST[:-2] + " w"}))
    assert (code, err) == (0, "")
    assert out == (tmp_path / "out" / "comparison.md").read_text()
    # Gains 1 seven times and 0 once: mean 7/8, variance (7/8)/7, SE = 1/8; t of 7 is 2.365; McNemar 2/2^7.
    # Bootstrap, level Φ(-2.365 √(8/7)) = 0.0057: of Binomial(8, 7/8), P(X ≤ 3) = 0.0012, P(X ≤ 4) = 0.011.
    assert cells(out) == [
        {
            "difference": "hpt − base",
            "suite": "math",
            "A": "0.0",
            "B": "87.5",
            "B − A": "+87.5 ± 12.5",
            "95 % (t)": "+57.9 to +117.1",
            "95 % (bootstrap)": "+50.0 to +100.0",
            "p": "0.016 (exact McNemar)",
            "p (Holm)": "0.016",
            "family": "primary",
            "questions": "8",
            "only B / only A": "7 / 0",
            "verdict": "higher",
        }
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES


def test_the_table_has_as_many_cells_in_every_row(write, compare):
    _, out, _ = compare("a|b=" + write("base", {"math": WORST}), "*c*=" + write("hpt", {"math": BEST}))
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {14}
    assert "\\*c\\* − a\\|b" in out


def test_the_csv_has_full_precision(write, compare, tmp_path):
    compare(write("base", {"math": "c w w"}), write("hpt", {"math": "c c w"}), "--margin", "2")
    (row,) = csv.DictReader((tmp_path / "out" / "comparison.csv").open())
    assert (row["method"], row["baseline"], row["suite"]) == ("hpt", "base", "math")
    assert float(row["method_points"]) == pytest.approx(200 / 3, abs=1e-12)
    assert float(row["difference_points"]) == pytest.approx(100 / 3, abs=1e-12)
    assert float(row["margin_points"]) == 2
    assert row["test"] == "exact McNemar"


def test_the_csv_has_the_numbers_of_the_table(write, compare, tmp_path):
    words = {"math": BEST[:-2] + " w"}
    compare(write("base", {"math": WORST}), write("hpt", words), "--margin", "50")
    (row,) = csv.DictReader((tmp_path / "out" / "comparison.csv").open())
    expected = {
        "baseline_points": 0,
        "method_points": 87.5,
        "difference_points": 87.5,
        "se_points": 12.5,
        "degrees": 7,
        "t_low_points": 87.5 - 2.3646 * 12.5,
        "t_high_points": 87.5 + 2.3646 * 12.5,
        "bootstrap_low_points": 50,
        "bootstrap_high_points": 100,
        "p": 2 / 2**7,
        "p_holm": 2 / 2**7,
        "only_method": 7,
        "only_baseline": 0,
        "questions": 8,
        "questions_left_out": 0,
        "margin_points": 50,
    }
    assert {name: float(row[name]) for name in expected} == pytest.approx(expected, abs=1e-3)
    # Three standard errors above the margin: P(T7 < 3).
    assert float(row["p_equivalent"]) == pytest.approx(0.990, abs=1e-3)
    assert (row["verdict"], row["equivalence"], row["seeds"]) == ("higher", "different", "1")


def test_what_could_not_be_computed_is_empty_in_the_csv(write, compare, tmp_path):
    compare(write("base", {"math": "w w"}), write("hpt", {"math": "cc cc"}))
    (row,) = csv.DictReader((tmp_path / "out" / "comparison.csv").open())
    assert row["t_low_points"] == ""
    assert "nan" not in (tmp_path / "out" / "comparison.csv").read_text()
    assert row["difference_points"] == "100.0"


def test_equal_differences_are_said_not_to_be_tested(write, compare):
    _, out, _ = compare(write("base", {"math": "cw cw"}), write("hpt", {"math": "cc cc"}), "--margin", "1")
    (row,) = cells(out)
    assert (row["verdict"], row["equivalence"], row["p"]) == ("not tested", "not tested", "n/a")
    assert "- Not tested: one question, or differences that are all alike" in out


def test_exclusive_solves_are_a_table_where_there_are_levels(write, compare, tmp_path):
    first = write("base", {"math": "c w w w w w w w"}, levels=LEVELS)
    second = write("hpt", {"math": "w w w w c c c c"}, levels=LEVELS)
    _, out, _ = compare(first, second)
    found = [(row["level"], row["questions"], row["only B"], row["only A"]) for row in cells(out, 1)]
    assert found == [("1", "4", "0", "1"), ("2", "4", "4", "0"), ("all", "8", "4", "1")]
    # Alone 2/2^4; for two levels twice that.
    assert [row["p (Holm)"] for row in cells(out, 1)] == ["1.000", "0.250", "–"]
    # Of one and of four exclusive solves, none and all are B's: one of five equally likely tables.
    assert "- hpt − base on math: p 0.200 of an equal share of B" in out
    assert "- Solved: correct." in out
    assert (tmp_path / "out" / "exclusive_solves.csv").read_text().count("\n") == 4


def test_a_majority_solves_where_there_are_several_answers(write, compare):
    words = {"math": " ".join(["ccw"] * 8)}
    _, out, _ = compare(write("base", words, levels=LEVELS), write("hpt", words, levels=LEVELS))
    assert "Solved: more than half of its answers are correct" in out


def test_old_exclusive_solves_do_not_stay(write, compare, tmp_path):
    words = {"math": WORST}
    compare(write("base", words, levels=LEVELS), write("hpt", words, levels=LEVELS))
    assert (tmp_path / "out" / "exclusive_solves.csv").exists()
    compare(write("base2", words), write("hpt2", words))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES


def test_single_seeds_are_said_to_be_checkpoints(write, compare):
    words = {"math": "c w w"}
    _, out, _ = compare(write("base", words), write("hpt", words, seed=4))
    assert "two checkpoints are compared, not two methods" in out


def seeds(write, name, words, **values):
    return f"{name}=" + ",".join(write(f"{name}{seed}", words, seed=seed, **values) for seed in (0, 1))


def test_seeds_are_named_and_paired(write, compare):
    words = {"math": "c w w"}
    code, out, _ = compare(seeds(write, "base", words), seeds(write, "hpt", words))
    assert code == 0
    assert "checkpoints are compared" not in out
    assert "- Paired by seed, too (0, 1);" in out


def test_samplings_of_one_checkpoint_are_not_called_trainings(write, compare):
    words = {"math": "c w w"}
    same = {"policy": {"sha256": "x"}}
    _, out, _ = compare(seeds(write, "base", words, **same), seeds(write, "hpt", words))
    assert "base: all seeds have the same weights; they are samplings of one checkpoint" in out
    assert "hpt: all seeds" not in out


def test_what_differs_of_the_records_is_told(write, compare):
    base = write("base", {"math": "c w w", "add": "c"}, policy={"backend": "hf", "sha256": "x"})
    other = write(
        "hpt",
        {"math": "cc ww ee"},
        policy={"backend": "vllm", "sha256": "x"},
        protocol={"temperature": 1.0},
    )
    code, out, _ = compare(base, other, "--despite-protocol")
    assert code == 0
    for note in (
        "hpt − base: DIFFERENT PROTOCOLS, compared because --despite-protocol was given: temperature 0.6",
        "hpt − base: not compared, as not all have them: add.",
        "hpt − base on math: different numbers of answers to a question, 1 (base), 2 (hpt)",
        "hpt − base: questions left out that an evaluation has no score for: math (1).",
        "hpt − base: different backends: hf, vllm.",
        "hpt − base: both have the same weights.",
        "Graded by grader 1.",
    ):
        assert f"- {note}" in out
    assert "Sampled at" not in out


def test_the_family_of_tests_is_told(write, compare):
    words = {"add": "c w", "sub": "c w"}
    _, out, _ = compare(write("base", words), write("grpo", words), write("hpt", words))
    # Averages are without spread, so without a test; McNemar's test of no discordant questions has p 1.
    assert "over the primary family of all differences in this table, 0 tests (averages" in out
    assert "apart from them over the 4 tests of suites" in out
    assert "- Average: equal weights for add, sub." in out


def test_averages_over_other_suites_are_told_apart(write, compare):
    base = write("base", {"add": "c w", "sub": "c w", "mul": "c w"})
    _, out, _ = compare(
        base, write("a", {"add": "c w", "sub": "w w"}), write("b", {"add": "c w", "mul": "w w"})
    )
    assert "- Average (a − base): equal weights for add, sub." in out
    assert "- Average (b − base): equal weights for add, mul." in out


def test_the_command_to_reproduce_says_all_but_where(write, compare):
    words = {"math": "cw cw"}
    base, other = write("base", words), write("hpt", words)
    options = ["--metric", "pass@2", "--margin", "1.5", "--despite-protocol"]
    _, out, _ = compare(base, other, *options)
    assert f"\npython -m evaluation.compare {base} {other} {' '.join(options)}\n" in out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--metric", "best"], "--metric 'best' is none of"),
        (["--margin", "0"], "--margin 0.0 is not above 0"),
        (["--margin", "nan"], "--margin nan is not above 0"),
        (["--metric", "maj@2"], "no question has a score of maj@2"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_written(write, compare, tmp_path, options, reason):
    words = {"math": "c w"}
    code, out, err = compare(write("base", words), write("hpt", words), *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {reason}")
    assert not (tmp_path / "out").exists()


def test_damaged_and_missing_records_are_refused(write, compare, tmp_path):
    base = write("base", {"math": "c w"})
    code, _, err = compare(base, str(tmp_path / "nothing"))
    assert code == 2
    assert "nothing/eval.json is missing" in err
    (tmp_path / "base" / "samples.jsonl").write_text("")
    code, _, err = compare(base, write("hpt", {"math": "c w"}))
    assert code == 2
    assert "its checksum is not that in eval.json" in err


def test_results_have_a_folder_of_their_own_by_default(write, tmp_path, monkeypatch, capsys):
    base, other = write("base", {"math": "c w"}), write("hpt", {"math": "c w"})
    monkeypatch.chdir(tmp_path)
    assert main([base, f"my model/1={other}"]) == 0
    assert (tmp_path / "results/comparisons/my--model--1-vs-base/comparison.md").exists()


def test_equal_records_give_equal_bytes(write, tmp_path):
    words = {"add": "cw cc ww cw", "math": "cw cc ww cc"}
    base, other = write("base", words), write("hpt", {name: each[::-1] for name, each in words.items()})
    command = [sys.executable, "-m", "evaluation.compare", base, other, "--margin", "3", "--output"]
    for folder, seed in (("one", "1"), ("two", "2")):
        subprocess.run(
            [*command, str(tmp_path / folder)],
            cwd=ROOT, check=True, capture_output=True, env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path)},
        )  # fmt: skip
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert b"CreationDate" not in (tmp_path / "one" / "forest.pdf").read_bytes()


def test_help_is_quick_and_complete():
    code = (
        "import sys; from evaluation.compare import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    shown = subprocess.run(
        [sys.executable, "-m", "evaluation.compare", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert shown.returncode == 0
    for option in ("--metric", "--margin", "--despite-protocol", "--output", "[NAME=]DIR[,DIR...]"):
        assert option in shown.stdout


def test_the_page_explains_every_column_and_option(write, compare):
    page = (ROOT / "docs" / "comparing.md").read_text()
    words = {"math": WORST}
    first, second = write("base", words, levels=LEVELS), write("hpt", words, levels=LEVELS)
    _, out, _ = compare(first, second, "--margin", "2")
    for column in [*cells(out)[0], *cells(out, 1)[0]]:
        assert f"`{column}`" in page
    for option in (*FILES, "exclusive_solves.csv", "--metric", "--margin", "--despite-protocol", "--output"):
        assert f"`{option}" in page
