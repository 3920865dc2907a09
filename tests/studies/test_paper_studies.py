"""Studies of the paper's tables and figures: each is whole at every scale, and is what it says."""

import re

import pytest

from studies.catalog import SCALES, STUDIES, find_study
from studies.configuring.requested import request
from studies.listing import listing
from studies.published import find_published
from studies.published.comparable import find_row, suite_reason, training_reasons
from studies.record import to_json
from studies.reporting.sections import SECTIONS

PAPER = {
    "main_table": "table2",
    "model_families": "table3",
    "exclusive_solves": "table4",
    "ablation_offpolicy": "table5",
    "ablation_gate": "table6",
    "pass_at_k": None,
    "question_dynamics": None,
    "training_dynamics": None,
}


@pytest.mark.parametrize("scale", [None, *SCALES])
@pytest.mark.parametrize("name", PAPER)
def test_a_study_has_all_its_runs_at_every_scale(name, scale):
    asked = request(name, [] if scale is None else [scale], None)
    arms, places = find_study(name).arms, asked.resolved.scales
    assert len(asked.study.arms) == len(arms) * len(places)
    assert {run.scale for run in asked.resolved.runs} == set(places)
    assert {arm.name for arm in asked.study.arms} <= {run.arm for run in asked.resolved.runs}


@pytest.mark.parametrize("name", PAPER)
def test_a_study_makes_its_table_again_with_parts_that_there_are(name):
    study = find_study(name)
    assert study.published == PAPER[name]
    assert set(study.sections) <= set(SECTIONS)
    assert ("published" in study.sections) == (study.published is not None)


def test_all_are_listed():
    flat = re.sub(r"\s+", " ", listing())
    for name in STUDIES:
        assert f" {name} {find_study(name).title}:" in flat


def at(name, *scales):
    return {run.arm: to_json(run) for run in request(name, scales, 1).resolved.runs}


@pytest.mark.parametrize(
    ("name", "scales", "absent"),
    [
        ("main_table", ["qwen2.5-math-7b"], set()),
        ("model_families", ["qwen2.5-math-1.5b", "llama-3.1-8b"], set()),
        ("ablation_offpolicy", ["qwen2.5-math-1.5b"], set()),
        ("ablation_gate", ["qwen2.5-math-1.5b"], {"base", "sft", "grpo"}),
    ],
)
def test_at_the_papers_scale_every_arm_is_a_row_of_the_table_under_its_protocol(name, scales, absent):
    table = find_published(PAPER[name])
    runs = at(name, *scales)
    rows = {arm: find_row(run, table) for arm, run in runs.items()}
    assert {arm for arm, row in rows.items() if row is None} == absent
    found = [row.name for row in rows.values() if row is not None]
    assert len(set(found)) == len(found)
    assert set(found) == {row.name for row in table.rows if not row.other}
    for arm, row in rows.items():
        if row is not None:
            assert training_reasons(runs[arm], row.scale, table.paper) == []
            assert suite_reason(runs[arm], table.suites, table.paper) == ""


def test_pass_at_k_asks_enough_for_1024_draws():
    for scale in SCALES:
        for run in request("pass_at_k", [scale], 1).resolved.runs:
            assert {run.evaluation.samples_of(suite) for suite in run.evaluation.suites} <= {1024, 2048}
    paper = at("pass_at_k", "qwen2.5-math-7b")["hpt"]["evaluation"]
    assert paper["suites"] == ["aime24", "aime25", "amc83"]
    assert paper["samples"] == 2048


@pytest.mark.parametrize(("scale", "epochs"), [("tiny", 30), ("qwen2.5-math-1.5b", 50)])
def test_stages_of_the_followed_questions_hold_whole_epochs(scale, epochs):
    runs = at("question_dynamics", scale)
    train = runs["sft_then_grpo"]["train"]
    steps_of_an_epoch, rest = divmod(train["questions"], train["questions_per_step"])
    assert rest == 0
    share = runs["sft_then_grpo"]["algorithm"]["arguments"]["sft_share"]
    begins = round(train["steps"] * share)
    assert begins % steps_of_an_epoch == 0
    assert (train["steps"] - begins) / steps_of_an_epoch == epochs
    assert runs["hpt"]["train"]["steps"] >= epochs * steps_of_an_epoch


def test_training_is_validated_every_ten_steps():
    for scale in SCALES:
        for run in request("training_dynamics", [scale], 1).resolved.runs:
            assert run.validation.every == 10
            assert set(run.validation.suites) <= set(run.evaluation.suites)


def test_exclusive_solves_are_those_of_the_main_tables_runs():
    asked = request("exclusive_solves", [], None)
    assert asked.resolved.study.name == "main_table"
    assert [arm.name for arm in asked.study.arms] == ["grpo", "luffy", "hpt"]
