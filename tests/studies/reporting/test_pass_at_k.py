"""pass@k of records is what drawing k of a question's answers in every possible way comes to."""

import itertools
import json
import shutil
from statistics import fmean

import altair
import pytest
import vl_convert

from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from studies.reporting.sections.pass_at_k import part, powers
from tests.studies.synthetic import Planted

SAMPLES, QUESTIONS = 8, {"add": 5, "sub": 3}


def correct(arm, seed, suite, question):
    """Return how many of a question's answers are correct: none, few, most, all."""
    most = (question * 3 + seed + len(suite)) % (SAMPLES + 1)
    return {"base": most // 3, "grpo": most}[arm]


def outcome(arm, seed, suite, question, sample):
    # Not the first ones, so that k draws in order would be another number.
    return "correct" if (sample * 5) % SAMPLES < correct(arm, seed, suite, question) else "wrong"


def planted(folder, **values):
    return Planted(
        folder, **{"samples": SAMPLES, "questions": QUESTIONS, "outcome": outcome, "seeds": (0, 1)} | values
    )


def parts(folder):
    records = read_records(folder)
    assert records.problems == ()
    return part(Context(records, suite_sides(records)))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return parts(planted(tmp_path_factory.mktemp("results") / "reach").write())


def drawn(arm, suite, k):
    """Return pass@k by drawing: the share of all sets of k answers that hold a correct one."""
    shares = []
    for seed in (0, 1):
        for question in range(QUESTIONS[suite]):
            right = [outcome(arm, seed, suite, question, s) == "correct" for s in range(SAMPLES)]
            shares.append(fmean(any(chosen) for chosen in itertools.combinations(right, k)))
    return fmean(shares)


@pytest.mark.parametrize("k", [1, 2, 4, 8])
@pytest.mark.parametrize("suite", QUESTIONS)
@pytest.mark.parametrize("arm", ["base", "grpo"])
def test_pass_at_k_is_the_share_of_all_draws_with_a_correct_answer(found, arm, suite, k):
    data = found.sections[0].data
    (row,) = data[(data["arm"] == arm) & (data["suite"] == suite) & (data["k"] == k)].to_dict("records")
    assert row["score"] == pytest.approx(drawn(arm, suite, k))
    assert row["low"] <= row["score"] <= row["high"]
    assert (row["questions"], row["samples"], row["seeds"]) == (QUESTIONS[suite], SAMPLES, 2)


def test_k_goes_up_in_powers_of_two_to_the_number_of_answers_and_to_1024_at_most(found):
    assert set(found.sections[0].data["k"]) == {1, 2, 4, 8}
    assert powers(1) == [1]
    assert powers(1000) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert powers(2048)[-1] == 1024


def test_the_table_has_a_row_for_each_suite_and_arm_and_a_column_for_each_k(found):
    cells = found.sections[0].cells
    assert list(zip(cells["suite"], cells["arm"], strict=True)) == [
        (suite, arm) for suite in QUESTIONS for arm in ("base", "grpo")
    ]
    assert {"1", "2", "4", "8"} <= set(cells.columns)
    assert cells["1"][0].split(" ± ")[0] == f"{100 * drawn('base', 'add', 1):.1f}"


def test_an_arm_without_a_finished_run_is_a_visible_row(tmp_path):
    study = planted(tmp_path / "gone")
    study.write()
    for seed in (0, 1):
        shutil.rmtree(study.run("grpo", seed))
    section, charts = parts(study.folder)[:2]
    rows = section[0].cells.to_dict("records")
    assert [row["status"] for row in rows if row["arm"] == "grpo"] == ["missing", "missing"]
    assert "grpo" not in json.dumps(charts[0].spec)
    shutil.rmtree(study.folder / "runs")
    assert parts(study.folder).charts == []


def test_answers_without_a_verdict_are_no_draws(tmp_path):
    def failing(arm, seed, suite, question, sample):
        return "error" if question == 0 and sample < 5 else outcome(arm, seed, suite, question, sample)

    data = parts(planted(tmp_path / "errors", outcome=failing).write()).sections[0].data
    own = data[(data["arm"] == "grpo") & (data["suite"] == "add")].set_index("k")
    assert own["questions"].to_dict() == {1: 5, 2: 5, 4: 4, 8: 4}


def test_the_chart_is_a_valid_specification_that_can_be_drawn(found):
    (chart,) = found.charts
    altair.Chart.from_dict(dict(chart.spec))
    assert chart.spec["spec"]["layer"][0]["encoding"]["x"]["scale"] == {"base": 2, "type": "log"}
    picture = vl_convert.vegalite_to_png(dict(chart.spec), allowed_base_urls=[])
    assert len(picture) > 5000
