"""Exclusive solves come out of records as the published table has them, sums and shares included."""

import shutil

import pytest

from studies.published import find_published
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from studies.reporting.sections.exclusive import part
from tests.studies.synthetic import Planted

TABLE = find_published("table4")
SIZES = list(TABLE.questions.values())
STARTS = [sum(SIZES[:index]) for index in range(len(SIZES))]
ROWS = {row.algorithm: row for row in TABLE.rows}
SOLVED = 30


def place(question):
    """Return the index of a question's level, and its number in it."""
    index = max(i for i, start in enumerate(STARTS) if start <= question)
    return index, question - STARTS[index]


def level(suite, question):
    return str(place(question)[0] + 1)


def as_published(arm, seed, suite, question, sample):
    """HPT solves the first 30 of each level; another one lacks those it lost to HPT, and has some more."""
    index, number = place(question)
    if arm == "hpt":
        return "correct" if number < SOLVED else "wrong"
    gained, lost = ROWS[arm].levels[str(index + 1)]
    return "correct" if gained <= number < SOLVED + lost else "wrong"


def table(folder):
    records = read_records(folder)
    assert records.problems == ()
    (found,) = part(Context(records, suite_sides(records))).sections
    return found


def cells(found, arm, baseline):
    rows = found.cells.to_dict("records")
    return {row["level"]: row for row in rows if (row["arm"], row["baseline"]) == (arm, baseline)}


def planted(folder, **values):
    study = {"arms": ("grpo", "luffy", "hpt"), "baseline": None, "seeds": (0,), "samples": 1}
    study |= {"questions": {"math500": 500}, "sides": {"math500": "in_distribution"}}
    return Planted(folder, **study | {"outcome": as_published, "level": level} | values)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return table(planted(tmp_path_factory.mktemp("results") / "exclusive").write())


@pytest.mark.parametrize(
    ("baseline", "overall"),
    [("grpo", "+58/−15 (11.6 % / 3.0 %)"), ("luffy", "+43/−16 (8.6 % / 3.2 %)")],
)
def test_the_published_sums_come_out_of_records(published, baseline, overall):
    found = cells(published, "hpt", baseline)
    assert found["all"]["gained / lost"] == overall
    assert found["all"]["questions"] == "500"
    for name, counts in ROWS[baseline].levels.items():
        assert found[name]["gained / lost"].startswith("+{}/−{} (".format(*counts))
        assert found[name]["questions"] == str(TABLE.questions[name])


def test_each_level_has_mcnemars_exact_p_corrected_over_the_levels(published):
    found = cells(published, "hpt", "grpo")
    # Of +5/−1 it is 2 (1 + 6) / 2^6, of +9/−2 2 (1 + 11 + 55) / 2^11.
    assert found["2"]["p"] == "0.219"
    assert found["3"]["p"] == "0.065"
    # Holm: the third smallest of five, so three times its p.
    assert found["3"]["p (Holm)"] == "0.196"
    assert found["1"]["p"] == "1.000"
    assert found["all"]["p (Holm)"] == "–"


def test_whether_the_effect_depends_on_the_level_is_tested_once_for_a_pair(published):
    told = [note for note in published.notes if note.startswith("hpt against grpo: p ")]
    (note,) = told
    p = float(note.split()[4])
    # +5/−1, +9/−2, +17/−4, +27/−8 are as equal as can be.
    assert p > 0.9
    assert "A question has one answer, which is correct or not." in published.notes


def test_of_several_answers_and_seeds_the_majority_counts_and_a_tie_does_not(tmp_path):
    solved = {"grpo": 2, "luffy": 3, "hpt": 4}

    def outcome(arm, seed, suite, question, sample):
        # Question 0 has so many of 4 answers right, over two seeds of two samples each.
        return "correct" if question == 0 and 2 * seed + sample < solved[arm] else "wrong"

    found = table(
        planted(
            tmp_path / "several", seeds=(0, 1), samples=2, questions={"math500": 3}, outcome=outcome
        ).write()
    )
    assert cells(found, "luffy", "grpo")["all"]["gained / lost"] == "+1/−0 (33.3 % / 0.0 %)"
    assert cells(found, "hpt", "luffy")["all"]["gained / lost"] == "+0/−0 (0.0 % / 0.0 %)"
    assert any("more than half of its answers" in note and "4 answers" in note for note in found.notes)


def test_suites_in_distribution_are_pooled_and_others_left_out(tmp_path):
    study = planted(
        tmp_path / "pooled",
        questions={"add": 4, "more": 3, "sub": 5, "plain": 6},
        sides={"add": "in_distribution", "more": "in_distribution", "sub": "out_of_distribution"},
        level=lambda suite, question: None if suite == "plain" else str(9 + question % 2),
        outcome=lambda arm, seed, suite, question, sample: "correct" if arm == "hpt" else "wrong",
    )
    found = table(study.write())
    own = cells(found, "hpt", "grpo")
    assert {name: row["questions"] for name, row in own.items()} == {"9": "4", "10": "3", "all": "7"}
    assert found.notes[0].startswith("Questions of add, more.")


def test_an_arm_without_a_finished_run_is_a_visible_row(tmp_path):
    study = planted(tmp_path / "gone", questions={"math500": 5})
    study.write()
    shutil.rmtree(study.run("luffy", 0))
    rows = table(study.folder).cells.to_dict("records")
    (row,) = [row for row in rows if (row["arm"], row["baseline"]) == ("hpt", "luffy")]
    assert row["status"] == "luffy missing"
    assert row["gained / lost"] == "–"
