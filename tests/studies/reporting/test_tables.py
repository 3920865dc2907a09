import math
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from evaluation.markdown import escape_markdown
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.sections import make_part
from studies.reporting.tables import escape_latex, write_tables
from tests.studies.synthetic import SIDES, Planted, solved

COMMAND = "python -m studies.run toy --seeds 3"


@pytest.fixture
def planted(tmp_path):
    study = Planted(tmp_path / "toy", arms=("base", "sft", "grpo"), outcome=solved)
    study.write()
    return study


def sections(records, sides=SIDES):
    context = Context(records, sides)
    return [each for name in records.study.sections for each in make_part(name, context).sections]


def written(planted, sides=SIDES):
    paths = write_tables(sections(read_records(planted.folder), sides), planted.folder, COMMAND)
    csv = pd.read_csv(paths["table.csv"])
    return paths["table.md"].read_text(), csv, paths["table.tex"].read_text()


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


def test_the_base_policy_has_scores_and_no_training(planted):
    markdown, table, _ = written(planted)
    row = row_of(markdown, "base")
    assert (row["offline rows"], row["offline tokens"], row["steps"]) == ("–", "–", "0")
    assert math.isnan(entry(table, "base", "add")["offline_rows"])
    assert row["add"] == "25.0 ± 25.0"


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


def test_the_files_do_not_depend_on_the_order_of_records(tmp_path, monkeypatch):
    def outcome(*key):
        return "correct" if random.Random(str(key)).random() < 0.4 else "wrong"

    planted = Planted(tmp_path / "toy", ("base", "a", "b"), questions={"add": 30, "sub": 9}, outcome=outcome)
    planted.write()
    records = read_records(planted.folder)
    folder = planted.folder
    before = [path.read_bytes() for path in write_tables(sections(records), folder, COMMAND).values()]
    listed = Path.glob
    monkeypatch.setattr(Path, "glob", lambda path, pattern: sorted(listed(path, pattern), reverse=True))
    shuffled = read_records(planted.folder)
    object.__setattr__(shuffled, "samples", shuffled.samples.sample(frac=1, random_state=0))
    object.__setattr__(shuffled, "metrics", shuffled.metrics.sample(frac=1, random_state=0))
    after = [path.read_bytes() for path in write_tables(sections(shuffled), folder, COMMAND).values()]
    assert after == before


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


def test_shares_and_outcomes_are_shown_in_the_row_and_counted_below(tmp_path):
    def outcome(arm, seed, suite, question, sample):
        return ["error", "unparseable", "timeout", "correct"][question] if arm == "grpo" else "correct"

    def metrics(arm, seed, step):
        return {"data/offline_row_share": 0.625, "data/offline_token_share": 0.25}

    planted = Planted(tmp_path / "toy", questions={"add": 4}, outcome=outcome, metrics=metrics)
    planted.write()
    markdown, _, _ = written(planted, {})
    row = row_of(markdown, "grpo")
    assert (row["offline rows"], row["offline tokens"]) == ("62.5", "25.0")
    assert row["unparseable / timeout / error"] == "6 / 6 / 6"
    assert row["n"] == "3 × 2"
    assert "(correct 30, wrong 0, unparseable 6, timeout 6, error 6)" in markdown
    assert "has no verdict: 1 in all arms and suites" in markdown
