import dataclasses
import json
import math
import random

import numpy as np
import pytest
from scipy import stats

from studies.reporting.cells import entries_of
from studies.reporting.floors import place_of, read_floors
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.report import write_report
from studies.reporting.run_noise import detectable, noise, sd_interval
from studies.reporting.sections import differences
from studies.reporting.sections.noise import part
from tests.studies.synthetic import SIDES, Planted


def lucky(chance, spread):
    """Return answers that are correct by chance: a chance of each run's own around `chance`."""

    def outcome(arm, seed, suite, question, sample):
        own = chance(arm) + spread * random.Random(f"{arm} {seed} run").uniform(-1, 1)
        return (
            "correct"
            if random.Random(f"{arm} {seed} {suite} {question} {sample}").random() < own
            else "wrong"
        )

    return outcome


def planted(folder, outcome, **values):
    values = {"arms": ("grpo", "hpt"), "seeds": tuple(range(8)), "baseline": None, "samples": 4} | values
    study = Planted(folder, outcome=outcome, **values)
    study.write()
    return study


def row(table, arm, suite):
    [found] = [entry for entry in entries_of(table) if (entry["arm"], entry["suite"]) == (arm, suite)]
    return found


def test_sd_between_runs_and_its_parts_come_out_exactly(tmp_path):
    # Of 4 questions with 2 answers, run s has s mod 3 wrong answers, each to a question of its own.
    def outcome(arm, seed, suite, question, sample):
        return "wrong" if question < seed % 3 and sample == 0 else "correct"

    study = planted(tmp_path / "toy", outcome, arms=("grpo",), questions={"add": 4}, samples=2)
    found = row(noise(read_records(study.folder), SIDES), "grpo", "add")
    scores = np.array([1 - (seed % 3) / 8 for seed in range(8)])
    assert found["runs"] == 8
    assert found["sd"] == pytest.approx(scores.std(ddof=1))
    # A question with one of two answers wrong has variance 1/2: a run has (wrong · 1/2) / (2 · 4²).
    sampling = np.mean([(seed % 3) * 0.5 / (2 * 16) for seed in range(8)])
    assert found["sampling"] == pytest.approx(math.sqrt(sampling))
    assert found["training"] == pytest.approx(math.sqrt(max(0.0, scores.var(ddof=1) - sampling)))


def test_an_average_has_the_luck_of_all_its_suites(tmp_path):
    study = planted(
        tmp_path / "toy", lucky(lambda arm: 0.5, 0.0), arms=("grpo",), questions={"a": 40, "b": 10}
    )
    table = noise(read_records(study.folder), {})
    a, b = (row(table, "grpo", suite)["sampling"] for suite in ("a", "b"))
    assert row(table, "grpo", "average")["sampling"] == pytest.approx(math.hypot(a, b) / 2)
    # p(1 − p)/(K Q) at p = 1/2.
    assert a == pytest.approx(math.sqrt(0.25 / (4 * 40)), rel=0.1)


def test_noise_of_answers_alone_is_told_from_noise_of_training(tmp_path):
    steady = planted(tmp_path / "steady", lucky(lambda arm: 0.5, 0.0), arms=("grpo",), questions={"add": 100})
    moving = planted(tmp_path / "moving", lucky(lambda arm: 0.5, 0.3), arms=("grpo",), questions={"add": 100})
    by_answers, by_training = (
        row(noise(read_records(s.folder), SIDES), "grpo", "add") for s in (steady, moving)
    )
    assert by_answers["sampling"] > by_answers["training"]
    # Uniform on ± 0.3: sd 0.17.
    assert by_training["training"] == pytest.approx(0.3 / math.sqrt(3), rel=0.4)
    assert by_training["training"] > 4 * by_training["sampling"]


def test_one_answer_a_question_tells_nothing_of_others(tmp_path):
    study = planted(tmp_path / "toy", lucky(lambda arm: 0.5, 0.1), samples=1)
    section = part(Context(read_records(study.folder), SIDES)).sections[0]
    assert set(section.cells["from answers"]) == {"–"}
    assert any("one answer a question" in note for note in section.notes)


def test_the_interval_of_sd_holds_it_as_often_as_it_says():
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        low, high = sd_interval(float(draws.normal(0, 2.0, 8).std(ddof=1)), 7)
        held += low <= 2.0 <= high
    assert 930 <= held <= 970
    # χ² of 7 degrees of freedom: 1.68987 and 16.01276 are exceeded by 97.5 % and 2.5 %.
    assert sd_interval(1.0, 7) == pytest.approx((math.sqrt(7 / 16.01276), math.sqrt(7 / 1.68987)), rel=1e-5)


def test_the_detectable_difference_is_seen_in_four_of_five_studies():
    draws, seen = np.random.default_rng(1), 0
    shift = detectable(1.0, 3)
    for _ in range(2000):
        seen += stats.ttest_ind(draws.normal(shift, 1, 3), draws.normal(0, 1, 3)).pvalue <= 0.05
    assert seen / 2000 == pytest.approx(0.8, abs=0.03)
    assert detectable(1.0, 2) > detectable(1.0, 3) > detectable(1.0, 8)


def test_the_report_writes_the_floor_beside_its_table(tmp_path):
    study = planted(tmp_path / "noise_floor", lucky(lambda arm: 0.5, 0.2))
    view = json.loads((study.folder / "study.json").read_text()) | {"sections": ["scores", "noise"]}
    write_report(study.folder, study.folder, view, "make it")
    [floor] = json.loads((study.folder / "floor.json").read_text())["floors"]
    table = noise(read_records(study.folder), SIDES)
    assert (floor["scale"], floor["steps"]) == ("toy", 3)
    assert floor["protocol"]["samples"] == 4
    assert [(arm["arm"], arm["k"]) for arm in floor["arms"]] == [("grpo", 8), ("hpt", 8)]
    own = [row(table, arm, "add")["sd"] for arm in ("grpo", "hpt")]
    assert floor["sd"]["add"] == pytest.approx(math.sqrt((own[0] ** 2 + own[1] ** 2) / 2))
    assert (study.folder / "noise.csv").exists()


def test_arms_without_two_runs_are_named(tmp_path):
    study = planted(tmp_path / "toy", lucky(lambda arm: 0.5, 0.2))
    for seed in range(7):
        study.write_status("hpt", seed, "failed", "out of memory")
    found = part(Context(read_records(study.folder), SIDES))
    assert any("fewer than two finished runs: hpt" in note for note in found.sections[0].notes)
    [floor] = json.loads(found.files["floor.json"])["floors"]
    assert [arm["arm"] for arm in floor["arms"]] == ["grpo"]


def test_a_study_of_one_seed_has_no_floor(tmp_path):
    study = planted(tmp_path / "toy", lucky(lambda arm: 0.5, 0.2), seeds=(0,))
    found = part(Context(read_records(study.folder), SIDES))
    assert not found.files
    assert "No arm has two finished runs" in found.sections[0].notes[0]


def other_study(folder, **values):
    values = {"seeds": (0, 1, 2), "arms": ("base", "grpo"), "baseline": "base"} | values
    return planted(folder, lucky(lambda arm: 0.3 if arm == "base" else 0.8, 0.0), **values)


@pytest.fixture
def floor(tmp_path):
    study = planted(tmp_path / "noise_floor", lucky(lambda arm: 0.5, 0.2))
    write_floor(study)
    return study


def write_floor(study):
    found = part(Context(read_records(study.folder), SIDES))
    (study.folder / "floor.json").write_text(found.files["floor.json"])


def differences_of(study):
    context = Context(read_records(study.folder), SIDES)
    return context, {section.name: section for section in differences.part(context).sections}


def test_other_studies_tell_their_differences_in_units_of_the_floor(tmp_path, floor):
    context, sections = differences_of(other_study(tmp_path / "other"))
    sd = json.loads((floor.folder / "floor.json").read_text())["floors"][0]["sd"]["add"]
    difference = row(context.summary, "grpo", "add")["difference"]
    units = difference / (sd * math.sqrt(2 / 3))
    assert sections["floors"].cells.loc[0, "add"] == f"+{units:.1f}"
    assert row(sections["floors"].data, "grpo", "add")["floors"] == pytest.approx(units)
    assert "grpo (8 runs), hpt (8 runs)" in " ".join(sections["floors"].notes)
    assert "No noise floor" not in " ".join(sections["differences"].notes)


def test_without_a_floor_the_command_that_measures_one_is_named(tmp_path):
    _, sections = differences_of(other_study(tmp_path / "other"))
    assert list(sections) == ["differences"]
    told = " ".join(sections["differences"].notes)
    assert "No noise floor is known" in told
    assert "by: python -m studies.run noise_floor --scale toy" in told


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 4},
        {"samples": 2},
        {"changed": lambda arm, config: dataclasses.replace(config, scale="other")},
    ],
)
def test_a_floor_of_another_length_protocol_or_scale_is_no_floor(tmp_path, floor, values):
    _, sections = differences_of(other_study(tmp_path / "other", **values))
    assert list(sections) == ["differences"]
    assert "measured under others" in " ".join(sections["differences"].notes)


def test_how_many_answers_are_sampled_at_once_makes_no_other_protocol(tmp_path, floor):
    def changed(arm, config):
        return dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, batch_size=7))

    _, sections = differences_of(other_study(tmp_path / "other", changed=changed))
    assert "floors" in sections


def test_a_setting_that_a_floor_of_before_lacks_had_its_default(tmp_path, floor):
    record = json.loads((floor.folder / "floor.json").read_text())
    place = next(iter(read_floors(tmp_path / "other")))
    del record["floors"][0]["protocol"]["option_seed"]
    (floor.folder / "floor.json").write_text(json.dumps(record))
    assert next(iter(read_floors(tmp_path / "other"))) == place


def test_places_differ_by_scale_protocol_and_steps():
    run = {"scale": "toy", "evaluation": {"suites": ["add"], "samples": 2}, "train": {"steps": 3}}
    others = [
        run | {"scale": "tiny"},
        run | {"evaluation": {"suites": ["add"], "samples": 3}},
        run | {"train": {"steps": 4}},
    ]
    assert len({place_of(each) for each in [run, *others]}) == 4
