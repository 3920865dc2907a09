"""Published numbers stand beside ours only where the two may be compared, with the verdict that they give."""

import dataclasses
import shutil

import pytest

from studies.published import find_published
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from studies.reporting.sections.published import part
from tests.studies.published.planted import OfStudy
from tests.studies.synthetic import Planted

TABLE2 = {row.name: row for row in find_published("table2").rows}
NAMES = {"base": "base", "sft": "SFT", "grpo": "GRPO", "sft_then_grpo": "SFT→GRPO", "luffy": "LUFFY"} | {
    "srft": "SRFT",
    "hpt": "HPT",
}


def section(folder):
    records = read_records(folder)
    assert records.problems == ()
    (found,) = part(Context(records, suite_sides(records))).sections
    return found


def lines(found, **wanted):
    rows = found.cells.to_dict("records")
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def line(found, **wanted):
    (row,) = lines(found, **wanted)
    return row


def scored(arm, seed, suite):
    """HPT as published, GRPO ten points above it, SFT far apart from seed to seed."""
    published = TABLE2[NAMES[arm]].scores[suite]
    if arm == "sft":
        return max(0, min(100, published + 12 * (seed - 1)))
    return published + 0.5 * (seed - 1) + (10 if arm == "grpo" else 0)


def longer(arm, run):
    return dataclasses.replace(run, train=dataclasses.replace(run.train, steps=600)) if arm == "srft" else run


def heavier(arm, run):
    if arm != "hpt":
        return run
    arguments = {**run.algorithm.arguments, "sft_weight": 0.9}
    return dataclasses.replace(run, algorithm=dataclasses.replace(run.algorithm, arguments=arguments))


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    study = OfStudy(
        tmp_path_factory.mktemp("results") / "main_table",
        scales=("qwen2.5-math-7b",),
        target=scored,
        changed=longer,
    )
    study.write()
    shutil.rmtree(study.run("luffy", 1))
    shutil.rmtree(study.run("luffy", 2))
    for seed in (0, 1, 2):
        shutil.rmtree(study.run("sft_then_grpo", seed))
    return section(study.folder)


@pytest.mark.parametrize("suite", ["math500", "average in distribution", "gpqa_diamond"])
@pytest.mark.parametrize(
    ("arm", "verdict"), [("hpt", "reproduced"), ("grpo", "contradicted"), ("sft", "underpowered")]
)
def test_each_verdict_is_given_where_records_call_for_it(paper, arm, verdict, suite):
    assert line(paper, arm=arm, suite=suite)["verdict"] == verdict


def test_published_and_own_numbers_their_difference_and_its_interval_stand_side_by_side(paper):
    row = line(paper, arm="grpo", suite="math500")
    # 91.8 % of 200 questions, a seed half a point lower, one half a point higher: 182.6, 183.6 and 184.6.
    assert (row["published"], row["ours"], row["difference"]) == ("81.8", "92.0 ± 0.3", "+10.2")
    # s = 0.5, t(2, 0.975) = 4.303, √(1 + 1/3) = 1.1547, and 0.05 that was rounded off: 2.53.
    assert (row["95 %"], row["runs"]) == ("+7.7 to +12.7", "3")


def test_an_average_is_over_the_papers_suites(paper):
    row = line(paper, arm="hpt", suite="average in distribution")
    assert row["published"] == "52.7"
    assert row["ours"].startswith("52.")


def test_one_run_decides_nothing_and_none_is_a_visible_cell(paper):
    assert {row["verdict"] for row in lines(paper, arm="luffy")} == {"underpowered"}
    assert line(paper, arm="luffy", suite="math500")["ours"] == "88.0 ± n/a"
    assert {row["ours"] for row in lines(paper, arm="sft_then_grpo")} == {"missing"}
    assert {row["verdict"] for row in lines(paper, arm="sft_then_grpo")} == {"underpowered"}


def test_an_arm_under_other_settings_is_told_without_the_published_numbers(paper):
    row = line(paper, arm="srft")
    assert row["verdict"] == "not comparable"
    assert row["status"] == "train.steps 600, published 500"
    assert row["published"] == "–"
    assert "srft" not in set(paper.data["arm"])


@pytest.mark.parametrize("name", ["main_table", "exclusive_solves"])
def test_an_argument_that_is_not_the_scales_is_told(tmp_path, name):
    study = OfStudy(tmp_path / name, scales=("qwen2.5-math-7b",), seeds=(0,), changed=heavier)
    study.write()
    row = line(section(study.folder), arm="hpt")
    assert row["verdict"] == "not comparable"
    assert row["status"] == "hpt.sft_weight 0.9, the scale's 1.0"


def test_notes_are_counted_from_what_is_there(paper):
    told = " ".join(paper.notes)
    counted = {verdict: len(lines(paper, verdict=verdict)) for verdict in ("reproduced", "contradicted")}
    for verdict, count in counted.items():
        assert f"{verdict} {count}" in told
    assert "LUFFY" not in told.split("no arm here makes again:")[1]
    assert "SRFT, Qwen2.5-Math-7B-Instruct, PRIME-Zero" in told
    assert "amc83: the paper's AMC is AMC12 of 2022 and 2023" in told


def test_at_the_tiny_scale_it_is_said_what_differs_and_no_number_of_the_paper_is_shown(tmp_path):
    study = OfStudy(tmp_path / "main_table", seeds=(0,))
    study.write()
    found = section(study.folder)
    assert set(found.cells["verdict"]) == {"not comparable"}
    assert set(found.cells.columns) == {"arm", "verdict", "status"}
    assert found.data is None
    base, trained = found.cells.to_dict("records")
    assert base["arm"] == "base"
    for reason in ("Qwen2.5-Math-7B", "evaluation.temperature 1.0, published 0.6", "not evaluated on aime24"):
        assert reason in base["status"]
    assert "train.steps" not in base["status"]
    assert "train.steps 80, published 500" in trained["status"]
    assert "--scale qwen2.5-math-7b." in " ".join(found.notes)
    text = found.cells.to_string() + " ".join(found.notes)
    assert not {f"{score:.1f}" for row in TABLE2.values() for score in row.averages.values()} & set(
        text.split()
    )


def test_copied_rows_are_never_compared_and_other_sizes_of_one_study_stand_apart(tmp_path):
    study = OfStudy(
        tmp_path / "model_families",
        scales=("llama-3.1-8b", "tiny"),
        seeds=(0, 1),
        target=lambda arm, seed, suite: 25.0 * (1 + seed),
        counts=dict.fromkeys(
            ("math500", "minerva_math", "olympiadbench", "arc_challenge", "gpqa_diamond"), 4
        ),
    )
    study.write()
    found = section(study.folder)
    copied = line(found, arm="llama-3.1-8b sft")
    assert copied["verdict"] == "not comparable"
    assert "copied from another paper" in copied["status"]
    assert line(found, arm="llama-3.1-8b hpt", suite="math500")["published"] == "47.8"
    (apart,) = [row for row in found.cells.to_dict("records") if row["arm"].startswith("tiny sft")]
    assert apart["arm"] == "tiny sft, tiny grpo, tiny luffy, tiny hpt"
    assert "policy studies/scales/tiny/base_policy" in apart["status"]


def test_exclusive_solves_are_compared_level_by_level(tmp_path):
    counts = {"grpo": 60, "luffy": 70, "hpt": 90}
    study = OfStudy(
        tmp_path / "exclusive_solves",
        scales=("qwen2.5-math-7b",),
        outcome=lambda arm, seed, suite, question, sample: (
            "correct" if question < counts[arm] + seed and suite == "math500" else "wrong"
        ),
        level=lambda suite, question: str(1 + question % 5) if suite == "math500" else None,
        counts={"math500": 100},
    )
    study.write()
    found = section(study.folder)
    row = line(found, arm="hpt vs grpo", suite="all levels lost")
    assert row["published"] == "3.0"  # 15 of 500
    assert row["ours"] == "0.0 ± 0.0"
    assert row["verdict"] == "underpowered"
    gained = line(found, arm="hpt vs luffy", suite="all levels gained")
    assert (gained["published"], gained["ours"]) == ("8.6", "20.0 ± 0.0")
    assert line(found, arm="hpt vs grpo", suite="level 5 gained")["published"] == "20.1"  # 27 of 134


def test_a_study_that_makes_no_table_again_has_no_such_part(tmp_path):
    folder = Planted(tmp_path / "toy").write()
    records = read_records(folder)
    assert part(Context(records, suite_sides(records))) == ((), (), {})
