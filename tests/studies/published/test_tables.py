"""The stored numbers agree with themselves: every average and sum that is printed comes out again."""

import tomllib
from statistics import fmean

import pytest

from evaluation.protocols import PROTOCOLS, SUITES
from studies.catalog import SCALES, UsageError, find_scale
from studies.published import FILE, find_published, published_tables
from studies.published.tables import ScoreTable, SolveTable

TABLES = published_tables()
ROWS = [
    pytest.param(table, row, id=f"{name} {row.name}")
    for name, table in TABLES.items()
    if isinstance(table, ScoreTable)
    for row in table.rows
]
PAPER = TABLES["table2"].paper


def test_all_tables_with_numbers_are_there():
    assert list(TABLES) == ["table2", "table3", "table4", "table5", "table6"]
    assert [len(TABLES[name].rows) for name in TABLES] == [12, 10, 2, 3, 3]


@pytest.mark.parametrize(("table", "row"), ROWS)
def test_a_printed_average_is_that_of_its_cells(table, row):
    # Cells are off by up to 0.05, so is their mean; the average is rounded once more.
    for name, printed in row.averages.items():
        assert fmean(row.scores[suite] for suite in table.averages[name]) == pytest.approx(
            printed, abs=0.1 + 1e-9
        )


def test_one_wrong_digit_would_be_seen():
    table = TABLES["table2"]
    for row in table.rows:
        for name, suites in table.averages.items():
            scores = [row.scores[suite] for suite in suites]
            scores[0] += 2
            assert fmean(scores) != pytest.approx(row.averages[name], abs=0.1 + 1e-9)


def test_sums_of_exclusive_solves_are_those_printed():
    table = TABLES["table4"]
    assert isinstance(table, SolveTable)
    assert sum(table.questions.values()) == 500
    printed = {row.name: row.overall for row in table.rows}
    assert printed == {"HPT vs GRPO": (58, 15), "HPT vs LUFFY": (43, 16)}
    for row in table.rows:
        gained, lost = (sum(counts) for counts in zip(*row.levels.values(), strict=True))
        assert (gained, lost) == row.overall


def test_exclusive_solves_are_of_other_answers_than_the_scores_of_the_same_model():
    # Gained − lost is the difference of two scores on the same 500 questions, if they are the same answers.
    scores = {row.name: row.scores["math500"] for row in TABLES["table2"].rows}
    nets = {row.name: (row.overall[0] - row.overall[1]) / 5 for row in TABLES["table4"].rows}
    assert nets == {"HPT vs GRPO": pytest.approx(8.6), "HPT vs LUFFY": pytest.approx(5.4)}
    assert scores["HPT"] - scores["GRPO"] == pytest.approx(7.4)
    assert scores["HPT"] - scores["LUFFY"] == pytest.approx(0.8)


def test_copied_rows_are_the_starred_ones():
    copied = {
        (name, row.name) for name, table in TABLES.items() for row in table.rows if getattr(row, "copied", 0)
    }
    assert copied == {
        *(("table2", name) for name in ("PRIME-Zero", "SimpleRL-Zero", "OpenReasoner-Zero", "Oat-Zero")),
        *(("table3", f"Llama-3.1-8B {name}") for name in ("SFT", "GRPO", "LUFFY")),
    }


def test_the_same_run_has_the_same_numbers_in_every_table():
    of = {
        name: {row.name: row.scores for row in TABLES[name].rows} for name in ("table3", "table5", "table6")
    }
    assert of["table3"]["Qwen2.5-Math-1.5B HPT"] == of["table5"]["SFT/ON"] == of["table6"]["γ=0"]


def test_the_margin_is_what_the_papers_claims_rest_on():
    table2, table6 = (
        {row.name: row.averages["average in_distribution"] for row in TABLES[name].rows}
        for name in ("table2", "table6")
    )
    claims = table2["HPT"] - table2["LUFFY"], table6["γ=0"] - table6["γ=2/8"]
    assert claims == pytest.approx((2.9, 2.9))
    assert pytest.approx(max(claims), abs=0.15) == PAPER.margin


def test_the_papers_scales_have_the_papers_protocol():
    protocol = PROTOCOLS["paper"]
    assert dict(PAPER.samples) == {suite: protocol.samples_of(suite) for suite in SUITES["paper"]}
    assert set(PAPER.models) < set(SCALES)
    for scale, model in PAPER.models.items():
        assert find_scale(scale).policy.endswith(f"/{model}")


def test_an_unknown_table_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"unknown published table 'table7'.*table"):
        find_published("table7")


def test_nothing_in_the_file_is_left_unread():
    document = tomllib.loads(FILE.read_text())
    assert {*document.pop("tables"), *document.pop("solves")} == set(TABLES)
    assert set(document) == set(vars(PAPER))
