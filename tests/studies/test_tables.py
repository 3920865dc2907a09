import math
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from studies.records import read_records
from studies.summaries import summarize
from studies.tables import escape_latex, escape_markdown, write_tables
from tests.studies.synthetic import Planted

SIDES = {"add": "in_distribution", "sub": "out_of_distribution"}
COMMAND = "python -m studies.run toy --seeds 3"


def solved(arm, seed, suite, question, sample):
    """Base: the first of 4 additions. Others: the first 2, and of the third one sample of two."""
    known = 1 if arm == "base" else 2
    if question == known and arm != "base":
        return "correct" if sample == 0 else "wrong"
    return "correct" if question < known else "wrong"


@pytest.fixture
def planted(tmp_path):
    study = Planted(tmp_path / "toy", arms=("base", "sft", "grpo"), outcome=solved)
    study.write()
    return study


def written(planted, sides=SIDES):
    markdown, csv, latex = write_tables(read_records(planted.folder), COMMAND, sides)
    return markdown.read_text(), pd.read_csv(csv), latex.read_text()


def row_of(markdown, arm):
    """Return the arm's cells in the first table by heading."""
    lines = [line for line in markdown.split("\n## ")[0].splitlines() if line.startswith("|")]
    heading, rows = lines[0], [line for line in lines if line.startswith(f"| {arm} |")]
    assert len(rows) == 1
    return {
        name.strip(): cell.strip()
        for name, cell in zip(heading.split("|")[1:-1], rows[0].split("|")[1:-1], strict=True)
    }


def entry(table, arm, suite):
    found = table[(table["arm"] == arm) & (table["suite"] == suite)]
    assert len(found) == 1
    return found.iloc[0]


def test_planted_scores_come_out_exactly(planted):
    _, table, _ = written(planted)
    # Additions: base 1/4; others (1 + 1 + .5 + 0)/4. Subtractions, two of them: 1/2 and 1.
    assert entry(table, "base", "add")["mean"] == 0.25
    assert entry(table, "grpo", "add")["mean"] == 0.625
    assert entry(table, "grpo", "sub")["mean"] == 1.0
    assert entry(table, "grpo", "average in_distribution")["mean"] == 0.625
    # Seeds are alike, so only questions vary: var(1, 0, 0, 0) = 1/4 and var(1, 1, .5, 0) = .6875/3, over 4.
    assert entry(table, "base", "add")["se"] == pytest.approx(math.sqrt(0.25 / 4), rel=1e-12)
    assert entry(table, "grpo", "add")["se"] == pytest.approx(math.sqrt(0.6875 / 3 / 4), rel=1e-12)
    difference = entry(table, "grpo", "add")
    # Differences 0, 1, .5, 0: mean .375, variance .6875/3.
    assert difference["difference"] == 0.375
    assert difference["difference_se"] == pytest.approx(math.sqrt(0.6875 / 3 / 4), rel=1e-12)
    assert difference["difference_seeds"] == 3


def test_the_markdown_shows_them_in_percent_with_what_they_are_over(planted):
    markdown, _, _ = written(planted)
    row = row_of(markdown, "grpo")
    assert list(row) == [
        *("arm", "add", "sub", "average in distribution", "average out of distribution", "seeds", "n"),
        *("offline rows", "offline tokens", "steps", "unparseable / timeout / error", "status"),
    ]
    assert row["add"] == "62.5 ± 23.9"
    assert row["seeds"] == "3 of 3"
    assert row["n"] == "6 × 2"
    assert row["steps"] == "3"
    assert row["status"] == "complete"
    assert "± is for new questions and new training seeds" in markdown
    assert "Runs: 9 of 9 finished. Seeds: 0, 1, 2" in markdown
    assert "add (4 questions, version 1), sub (2 questions, version 1)" in markdown
    assert markdown.endswith(f"## Reproduce\n\n```\n{COMMAND}\n```\n")


def test_arms_and_suites_are_in_the_order_of_the_study(planted):
    _, table, _ = written(planted)
    assert list(dict.fromkeys(table["arm"])) == ["base", "sft", "grpo"]
    averages = ["average in_distribution", "average out_of_distribution"]
    assert list(table["suite"]) == ["add", "sub", *averages] * 3


def test_without_marks_there_is_one_average_of_equal_weights(planted):
    _, table, _ = written(planted, sides={})
    assert entry(table, "grpo", "average")["mean"] == (0.625 + 1) / 2
    with pytest.raises(ValueError, match="neither"):
        written(planted, sides={"add": "inside"})


def test_the_base_policy_has_scores_and_no_training(planted):
    markdown, table, _ = written(planted)
    row = row_of(markdown, "base")
    assert (row["offline rows"], row["offline tokens"], row["steps"]) == ("–", "–", "0")
    assert math.isnan(entry(table, "base", "add")["offline_rows"])
    assert row["add"] == "25.0 ± 25.0"


def test_offline_shares_are_of_the_runs_total(tmp_path):
    def metrics(arm, seed, step):
        # Rows: (1·10 + .5·30 + nothing)/40 = .625; tokens: (1·100 + 0·300)/400 = .25.
        shares = {1: (10, 1.0, 100, 1.0), 2: (30, 0.5, 300, 0.0), 3: (0, None, 0, None)}
        names = ("data/rows", "data/offline_row_share", "train/tokens", "data/offline_token_share")
        return dict(zip(names, shares[step], strict=True))

    planted = Planted(tmp_path / "toy", metrics=metrics)
    planted.write()
    markdown, table, _ = written(planted)
    assert entry(table, "grpo", "add")["offline_rows"] == 0.625
    assert entry(table, "grpo", "add")["offline_tokens"] == 0.25
    assert row_of(markdown, "grpo")["offline rows"] == "62.5"


def test_one_seed_is_said_to_be_one_and_gets_no_p_value(tmp_path):
    planted = Planted(tmp_path / "toy", seeds=(5,), outcome=solved)
    planted.write()
    markdown, table, _ = written(planted)
    assert "says nothing of other training seeds: base, grpo." in markdown
    assert "new training seeds:" not in markdown
    assert row_of(markdown, "grpo")["seeds"] == "1 of 1"
    assert entry(table, "grpo", "add")["difference"] == 0.375
    assert math.isnan(entry(table, "grpo", "add")["p_holm"])
    assert "+37.5 ± 23.9 (p n/a)" in markdown


def test_one_question_shows_no_error(tmp_path):
    planted = Planted(tmp_path / "toy", questions={"add": 1}, outcome=solved)
    planted.write()
    markdown, table, _ = written(planted)
    assert row_of(markdown, "grpo")["add"] == "100.0 ± n/a"
    assert math.isnan(entry(table, "grpo", "add")["se"])
    assert "one question is too few" in markdown


def test_failed_missing_and_unfinished_runs_are_visible(planted):
    planted.write_status("grpo", 0, "failed", "loss is\nnot a | number")
    planted.write_status("grpo", 1, "running", None)
    shutil.rmtree(planted.run("grpo", 2))
    planted.write_status("sft", 2, "failed", "out of memory")
    markdown, table, latex = written(planted)
    row = row_of(markdown.replace("\\|", "/"), "grpo")
    assert row["add"] == "failed"
    assert row["average in distribution"] == "failed"
    assert row["seeds"] == "0 of 3"
    assert row["status"] == "failed 1 of 3 (seed 0): loss is not a / number; missing 2 of 3 (seeds 1, 2)"
    assert math.isnan(entry(table, "grpo", "add")["mean"])
    assert math.isnan(entry(table, "grpo", "add")["correct"])
    assert entry(table, "sft", "add")["mean"] == 0.625
    assert row_of(markdown.replace("\\|", "/"), "sft")["status"] == "failed 1 of 3 (seed 2): out of memory"
    assert "failed 1 of 3 (seed 0): loss is not a \\textbar{} number" in latex
    assert "Runs: 5 of 9 finished" in markdown


def test_a_study_without_any_run_has_all_its_rows(planted):
    shutil.rmtree(planted.folder / "runs")
    markdown, table, _ = written(planted)
    assert len(table) == 12
    assert row_of(markdown, "grpo")["add"] == "missing"
    assert row_of(markdown, "grpo")["status"] == "missing 3 of 3 (seeds 0, 1, 2)"


def test_a_damaged_run_is_told_under_the_table(planted):
    (planted.run("grpo", 1) / "eval.json").write_text("{")
    markdown, _, _ = written(planted)
    assert row_of(markdown, "grpo")["status"].startswith(
        "damaged 1 of 3 (seed 1): runs/grpo-seed1: eval.json"
    )
    assert "Not as it should be: grpo, seed 1: runs/grpo-seed1: eval.json" in markdown


def test_outcomes_are_counted_and_what_has_no_verdict_is_left_out(tmp_path):
    def outcome(arm, seed, suite, question, sample):
        if suite == "add" and arm == "grpo":
            # Question 0: error and correct; 1: errors; 2: unparseable and correct; 3: timeout and correct.
            return [
                ("error", "correct"),
                ("error", "error"),
                ("unparseable", "correct"),
                ("timeout", "correct"),
            ][question][sample]
        return "correct"

    planted = Planted(tmp_path / "toy", outcome=outcome)
    planted.write()
    markdown, table, _ = written(planted)
    found = entry(table, "grpo", "add")
    assert found["mean"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert (found["questions"], found["questions_left_out"]) == (3, 1)
    counts = found[["correct", "wrong", "unparseable", "timeout", "error"]]
    assert list(counts) == [9, 0, 3, 3, 9]
    assert row_of(markdown, "grpo")["unparseable / timeout / error"] == "3 / 3 / 9"
    assert "(correct 57, wrong 0, unparseable 3, timeout 3, error 9)" in markdown
    assert "has no verdict: 1 in all arms and suites" in markdown


def test_the_files_do_not_depend_on_the_order_of_records(tmp_path, monkeypatch):
    def outcome(*key):
        return "correct" if random.Random(str(key)).random() < 0.4 else "wrong"

    planted = Planted(tmp_path / "toy", ("base", "a", "b"), questions={"add": 30, "sub": 9}, outcome=outcome)
    planted.write()
    records = read_records(planted.folder)
    before = [path.read_bytes() for path in write_tables(records, COMMAND, SIDES)]
    listed = Path.glob
    monkeypatch.setattr(Path, "glob", lambda path, pattern: sorted(listed(path, pattern), reverse=True))
    shuffled = read_records(planted.folder)
    object.__setattr__(shuffled, "samples", shuffled.samples.sample(frac=1, random_state=0))
    object.__setattr__(shuffled, "metrics", shuffled.metrics.sample(frac=1, random_state=0))
    assert [path.read_bytes() for path in write_tables(shuffled, COMMAND, SIDES)] == before


def test_holm_counts_the_arms_of_a_column(tmp_path):
    def outcome(arm, seed, suite, question, sample):
        chance = {"base": 0.3, "a": 0.9, "b": 0.35}[arm]
        return (
            "correct" if random.Random(f"{arm}{seed}{suite}{question}{sample}").random() < chance else "wrong"
        )

    planted = Planted(tmp_path / "toy", ("base", "a", "b"), questions={"add": 40}, outcome=outcome)
    planted.write()
    records = read_records(planted.folder)
    both = summarize(records, {})
    p = dict(
        zip(both.loc[both["suite"] == "add", "arm"], both.loc[both["suite"] == "add", "p_holm"], strict=True)
    )
    assert math.isnan(p["base"])
    assert p["a"] < 0.01 < 0.05 < p["b"]
    planted.write_status("b", 0, "failed", "x")
    planted.write_status("b", 1, "failed", "x")
    alone = summarize(read_records(planted.folder), {})
    kept = alone[(alone["suite"] == "add") & (alone["arm"] == "a")]["p_holm"].item()
    assert p["a"] / kept == pytest.approx(2)


def test_a_name_of_special_characters_is_shown_literally(tmp_path):
    name = "a|b_c 50% $x$ #1 {y} ~^\\ <b> *i* γ=0.5"
    planted = Planted(tmp_path / "toy", arms=("base", name), baseline=None)
    planted.write()
    markdown, table, latex = written(planted)
    assert "| a\\|b_c 50% $x$ #1 {y} ~^\\\\ \\<b> \\*i\\* γ=0.5 |" in markdown
    assert table["arm"].iloc[-1] == name
    assert (
        r"a\textbar{}b\_c 50\% \$x\$ \#1 \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{}" in latex
    )
    assert r"\textless{}b\textgreater{} *i* $\gamma$=0.5" in latex
    assert "Difference to" not in markdown


def test_escapes():
    assert escape_markdown("a\n b") == escape_latex("a\n b") == "a b"
    assert escape_markdown("a_b _c_ p < 0.1") == r"a_b \_c\_ p < 0.1"
    assert escape_latex("3.0 ± 1.0, −2 × 4 – 5") == r"3.0 $\pm$ 1.0, $-$2 $\times$ 4 -- 5"


def test_the_latex_is_booktabs_with_a_cell_for_every_column(planted):
    _, _, latex = written(planted)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert latex.count(rule) == 2
    body = latex.split(r"\begin{tabular}{")[1]
    columns = len(body.split("}")[0])
    rows = [line for line in body.split(r"\end{tabular}")[0].splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert {line.count(" & ") + 1 for line in rows} == {columns}
