import math
import random

import pytest

from studies.reporting.records import read_records
from studies.reporting.summaries import summarize
from tests.studies.synthetic import SIDES, Planted, solved


@pytest.fixture
def planted(tmp_path):
    study = Planted(tmp_path / "toy", arms=("base", "sft", "grpo"), outcome=solved)
    study.write()
    return study


def summarized(planted, sides=SIDES):
    return summarize(read_records(planted.folder), sides)


def entry(table, arm, suite):
    found = table[(table["arm"] == arm) & (table["suite"] == suite)]
    assert len(found) == 1
    return found.iloc[0]


def test_planted_scores_come_out_exactly(planted):
    table = summarized(planted)
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


def test_arms_and_suites_are_in_the_order_of_the_study(planted):
    table = summarized(planted)
    assert list(dict.fromkeys(table["arm"])) == ["base", "sft", "grpo"]
    averages = ["average in_distribution", "average out_of_distribution"]
    assert list(table["suite"]) == ["add", "sub", *averages] * 3


def test_without_marks_there_is_one_average_of_equal_weights(planted):
    table = summarized(planted, sides={})
    assert entry(table, "grpo", "average")["mean"] == (0.625 + 1) / 2
    with pytest.raises(ValueError, match="neither"):
        summarized(planted, sides={"add": "inside"})


def test_offline_shares_are_of_the_runs_total(tmp_path):
    def metrics(arm, seed, step):
        # Rows: (1·10 + .5·30 + nothing)/40 = .625; tokens: (1·100 + 0·300)/400 = .25.
        shares = {1: (10, 1.0, 100, 1.0), 2: (30, 0.5, 300, 0.0), 3: (0, None, 0, None)}
        names = ("data/rows", "data/offline_row_share", "data/tokens", "data/offline_token_share")
        return dict(zip(names, shares[step], strict=True))

    planted = Planted(tmp_path / "toy", metrics=metrics)
    planted.write()
    table = summarized(planted)
    assert entry(table, "grpo", "add")["offline_rows"] == 0.625
    assert entry(table, "grpo", "add")["offline_tokens"] == 0.25


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
    table = summarized(planted)
    found = entry(table, "grpo", "add")
    assert found["mean"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert (found["questions"], found["questions_left_out"]) == (3, 1)
    counts = found[["correct", "wrong", "unparseable", "timeout", "error"]]
    assert list(counts) == [9, 0, 3, 3, 9]


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
