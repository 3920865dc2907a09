"""The maps of questions over epochs come from what runs recorded of every question, step by step."""

import shutil

import altair
import pytest
import vl_convert

from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from studies.reporting.sections.question_map import part
from tests.studies.synthetic import Planted

QUESTIONS, PER_STEP, EPOCHS, IMITATION = 6, 3, 10, 4
LEVELS = {0: "3", 1: "3", 2: "3", 3: "10", 4: "10", 5: "10"}


def accuracy(arm, seed, question, epoch):
    """Questions of level 10 are learnt late by one arm, at once by the other; question 0 is never solved."""
    if question == 0:
        return 0.0
    if LEVELS[question] == "3":
        return 1.0
    return 1.0 if arm == "hpt" or epoch >= 5 else 0.25 + 0.25 * seed


def metrics(arm, seed, step):
    """Two steps an epoch; the first ones of `base then rl` imitate and ask nothing."""
    asked = step - 1 - (IMITATION if arm == "sft_then_grpo" else 0)
    if asked < 0:
        return {"rollout/solve_rates": [], "rollout/solve_rate": None}
    epoch, half = divmod(asked, 2)
    questions = range(half * PER_STEP, (half + 1) * PER_STEP)
    return {
        "rollout/solve_rates": [[q, accuracy(arm, seed, q, epoch)] for q in questions],
        "rollout/levels": [[q, LEVELS[q]] for q in questions],
    }


def planted(folder, **values):
    study = {"arms": ("sft_then_grpo", "hpt"), "seeds": (0,), "steps": 2 * EPOCHS + IMITATION}
    return Planted(folder, **study | {"baseline": "sft_then_grpo", "metrics": metrics} | values)


def parts(folder):
    records = read_records(folder)
    assert records.problems == ()
    return part(Context(records, suite_sides(records)))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return parts(planted(tmp_path_factory.mktemp("results") / "map").write())


def row(found, arm, level):
    (only,) = [
        each
        for each in found.sections[0].cells.to_dict("records")
        if (each["arm"], each["level"]) == (arm, level)
    ]
    return only


def squares(chart, level):
    return {
        (each["question"], each["epoch"]): each["accuracy"]
        for each in chart.spec["datasets"][f"level_{level}"]
    }


def test_an_epoch_is_how_often_rollouts_have_answered_a_question_before(found):
    data = found.sections[0].data
    own = data[(data["arm"] == "sft_then_grpo") & (data["question"] == 3)]
    assert list(own["epoch"]) == list(range(EPOCHS))
    assert own["step"].iloc[0] == IMITATION + 2
    assert list(own["accuracy"]) == [0.25] * 5 + [1.0] * 5
    hpt = data[data["arm"] == "hpt"]
    assert hpt["epoch"].max() == EPOCHS + IMITATION // 2 - 1
    assert len(hpt) == QUESTIONS * (EPOCHS + IMITATION // 2)


def test_the_table_says_how_a_level_begins_and_ends_and_what_is_never_solved(found):
    late = row(found, "sft_then_grpo", "10")
    assert (late["first"], late["last"], late["epochs"], late["questions"]) == ("25.0", "100.0", "10", "3")
    assert row(found, "hpt", "3")["never solved"] == "1"
    assert late["never solved"] == "0"
    ahead = row(found, "hpt", "10")
    assert (ahead["first, difference"], ahead["last, difference"]) == ("+75.0", "+0.0")
    assert row(found, "hpt", "3")["first, difference"] == "+0.0"
    assert late["baseline"] == "–"


def test_levels_stand_in_the_order_of_their_numbers(found):
    assert list(found.sections[0].cells["level"]) == ["3", "10", "3", "10"]


def test_each_arm_and_each_difference_is_a_map_by_level_with_the_hardest_on_top(found):
    names = [chart.name for chart in found.charts]
    assert names == ["questions_sft_then_grpo", "questions_hpt", "questions_hpt_minus_sft_then_grpo"]
    own, _, difference = found.charts
    assert squares(own, 1)[(4, 0)] == 0.25
    assert squares(own, 1)[(4, 9)] == 1.0
    assert squares(difference, 1)[(4, 0)] == 0.75
    assert squares(difference, 1)[(4, 9)] == 0.0
    assert {epoch for _, epoch in squares(difference, 0)} == set(range(EPOCHS))
    first = own.spec["datasets"]["level_0"][0]
    assert (first["question"], first["rank"]) == (0, 0)


def test_seeds_are_averaged_question_by_question(tmp_path):
    found = parts(planted(tmp_path / "seeds", seeds=(0, 1)).write())
    assert squares(found.charts[0], 1)[(4, 0)] == (0.25 + 0.5) / 2
    assert row(found, "sft_then_grpo", "10")["first"] == "37.5"


def test_without_levels_there_is_one_panel_and_the_notes_say_so(tmp_path):
    def untold(arm, seed, step):
        return {key: value for key, value in metrics(arm, seed, step).items() if key != "rollout/levels"}

    found = parts(planted(tmp_path / "untold", metrics=untold).write())
    assert set(found.sections[0].cells["level"]) == {"untold"}
    assert "The training set tells no levels." in found.sections[0].notes


def test_missing_runs_and_runs_that_ask_nothing_are_visible_rows(tmp_path):
    def silent(arm, seed, step):
        return {"rollout/solve_rates": []} if arm == "sft" else metrics(arm, seed, step)

    study = planted(tmp_path / "gone", arms=("sft_then_grpo", "hpt", "sft"), metrics=silent)
    study.write()
    shutil.rmtree(study.run("hpt", 0))
    found = parts(study.folder)
    told = {each["arm"]: each["status"] for each in found.sections[0].cells.to_dict("records")}
    assert told == {"sft_then_grpo": "–", "hpt": "missing", "sft": "no question was asked"}
    assert [chart.name for chart in found.charts] == ["questions_sft_then_grpo"]
    assert any("sft, seed 0" in note for note in found.sections[0].notes)


def test_maps_are_valid_specifications_that_can_be_drawn(found):
    for chart in found.charts:
        altair.Chart.from_dict(dict(chart.spec))
        assert len(vl_convert.vegalite_to_png(dict(chart.spec), allowed_base_urls=[])) > 3000
