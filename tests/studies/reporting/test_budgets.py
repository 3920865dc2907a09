import dataclasses
import math

import pytest

from studies.record import AlgorithmRecord
from studies.reporting.best import best_cells
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.sections import differences
from studies.reporting.sections.budgets import frontier, part
from studies.reporting.spending import quantity, refusals, spendings, verdict
from tests.studies.synthetic import SIDES, Planted
from training.budget import Budget

LIMIT = 1_000
ARMS = ("generated: sft", "generated: grpo", "generated: hpt", "flops: sft", "flops: grpo")
# Of the limit, in 10 steps: SFT samples nothing, the last step of the others goes beyond it.
SPENT = {
    "generated: sft": 0.0,
    "generated: grpo": 1.04,
    "generated: hpt": 1.01,
    "flops: sft": 1.0,
    "flops: grpo": 1.06,
}
SCORES = {
    "generated: sft": 0.9,
    "generated: grpo": 0.2,
    "generated: hpt": 0.6,
    "flops: sft": 0.4,
    "flops: grpo": 0.2,
}


def kind_of(arm):
    return "generated_tokens" if arm.startswith("generated") else "flops"


def planted(folder, spent=SPENT, *, steps=10, metrics=None, **values):
    def changed(arm, config):
        budget = Budget(**{kind_of(arm): LIMIT})
        train = dataclasses.replace(config.train, budget=budget)
        return dataclasses.replace(config, train=train, algorithm=AlgorithmRecord(arm.split(": ")[1], {}))

    def shares(arm, seed, step):
        reached = LIMIT * spent[arm] * step / steps
        totals = {"generated_tokens": 7.0 * step, "demonstration_tokens": 3.0 * step, "flops": 5.0 * step}
        totals[kind_of(arm)] = reached
        return {f"spent/{kind}": total for kind, total in totals.items()} | {"time/total": 0.5 * step}

    def outcome(arm, seed, suite, question, sample):
        # Two questions depend on the seed, so that differences have a spread.
        luck = (question + seed) % 20 == 0
        return "correct" if question < 40 * SCORES[arm] and not luck else "wrong"

    values = {"questions": {"add": 40, "sub": 4}, "samples": 1, "seeds": (0, 1, 2)} | values
    study = Planted(
        folder,
        arms=ARMS,
        steps=steps,
        baseline=None,
        baselines={arm: f"{arm.split(':')[0]}: grpo" for arm in ARMS if not arm.endswith("grpo")},
        metrics=metrics or shares,
        changed=changed,
        outcome=outcome,
        **values,
    )
    study.write()
    return study


def context(study):
    return Context(read_records(study.folder), SIDES)


def rows(study):
    [section] = part(context(study)).sections
    return section.cells.set_index("arm")


def test_what_was_spent_is_the_running_total_of_the_last_step(tmp_path):
    spent = spendings(context(planted(tmp_path / "toy")).records).set_index(["arm", "seed"])
    assert len(spent) == 15
    grpo = spent.loc[("generated: grpo", 1)]
    assert grpo["generated_tokens"] == pytest.approx(1040)
    assert grpo["last_generated_tokens"] == pytest.approx(104)
    assert (grpo["demonstration_tokens"], grpo["flops"], grpo["seconds"], grpo["steps"]) == (30, 50, 5, 10)


def test_each_arm_is_told_with_its_budget_ratio_and_verdict(tmp_path):
    table = rows(planted(tmp_path / "toy"))
    assert list(table.index) == list(ARMS)
    grpo = table.loc["generated: grpo"]
    assert grpo["budget"] == "1 k generated tokens"
    assert (grpo["generated tokens"], grpo["seconds"], grpo["steps"]) == ("1.04 k", "5", "10")
    assert (grpo["spent / budget"], grpo["verdict"]) == ("1.04", "within")
    sft = table.loc["generated: sft"]
    assert sft["verdict"] == "refused: spent 0 of 1 k generated tokens (3 of 3 runs)"
    assert table.loc["flops: sft", "verdict"] == "within"


def test_a_refused_arm_is_compared_with_none_and_its_differences_say_so(tmp_path):
    found = context(planted(tmp_path / "toy"))
    [section, *_] = differences.part(found).sections
    table = section.cells.set_index("arm")
    assert table.loc["generated: sft", "add"] == "refused"
    # 16 of 40 questions more, but for the unlucky ones: 4 of its in all three seeds, 1 of the baseline.
    assert table.loc["generated: hpt", "add"].startswith("+37.5 ")
    summary = found.summary[found.summary["suite"] == "add"].set_index("arm")
    assert math.isnan(summary.loc["generated: sft", "difference"])
    assert math.isnan(summary.loc["generated: sft", "p_holm"])
    # Two are compared in the column, not three.
    notes = " ".join(section.notes)
    assert "for the 2 arms compared" in notes
    assert "generated: sft spent 0 of 1 k generated tokens" in notes


def test_a_refused_arm_is_not_bold_nor_in_the_way_of_another_one(tmp_path):
    study = planted(tmp_path / "toy")
    bold = {ARMS[cell.row] for cell in best_cells(context(study)) if cell.column == "add"}
    assert bold == {"generated: hpt", "flops: sft"}
    spent_all = planted(tmp_path / "all", SPENT | {"generated: sft": 1.0})
    bold = {ARMS[cell.row] for cell in best_cells(context(spent_all)) if cell.column == "add"}
    assert bold == {"generated: sft", "flops: sft"}


def test_where_the_baseline_is_refused_nothing_is_compared_with_it(tmp_path):
    study = planted(tmp_path / "toy", SPENT | {"flops: grpo": 0.5})
    [section, *_] = differences.part(context(study)).sections
    assert section.cells.set_index("arm").loc["flops: sft", "add"] == "baseline refused"


def test_one_run_that_missed_its_budget_refuses_the_arm(tmp_path):
    def metrics(arm, seed, step):
        total = (0.7 if (arm, seed) == ("flops: sft", 2) else 1.0) * LIMIT * step / 10
        kinds = ("generated_tokens", "demonstration_tokens", "flops")
        return {f"spent/{kind}": total for kind in kinds} | {"time/total": 1.0 * step}

    study = planted(tmp_path / "toy", metrics=metrics)
    assert refusals(context(study).records) == {"flops: sft": "spent 700 of 1 k FLOP (1 of 3 runs)"}
    assert rows(study).loc["flops: sft", "spent / budget"] == "0.90 (0.70 to 1.00)"


@pytest.mark.parametrize(
    ("spent", "last", "within"),
    [
        (1000, 10, True),
        (950, 10, True),
        (949, 10, False),
        (1050, 10, True),
        (1051, 10, False),
        (1051, 60, True),
        (1150, 140, False),
        (1190, 195, True),
        (1190, 201, False),
        (0, 0, False),
    ],
)
def test_the_rule_allows_one_step_beyond_and_five_percent(spent, last, within):
    assert (verdict("flops", 1000.0, spent, last) is None) == within


def test_a_run_that_did_not_record_what_it_spent_is_refused(tmp_path):
    study = planted(tmp_path / "toy", metrics=lambda arm, seed, step: {})
    assert set(refusals(context(study).records)) == set(ARMS)
    assert "did not record its FLOP" in rows(study).loc["flops: grpo", "verdict"]


def test_arms_without_a_budget_or_a_finished_run_are_told_as_that(tmp_path):
    study = planted(tmp_path / "toy")
    for seed in study.seeds:
        study.write_status("flops: sft", seed, "failed", "out of memory")
    table = rows(study)
    assert table.loc["flops: sft", "verdict"] == "no finished run"
    assert table.loc["flops: sft", "FLOP"] == "n/a"
    plain = Planted(tmp_path / "plain")
    plain.write()
    [section] = part(context(plain)).sections
    assert list(section.cells["arm"]) == ["grpo"], "the untrained policy spends nothing"
    assert list(section.cells["verdict"]) == ["no budget"]
    assert refusals(context(plain).records) == {}


def test_the_chart_joins_what_none_dominates_and_leaves_refused_arms_out(tmp_path):
    [chart] = part(context(planted(tmp_path / "toy"))).charts
    drawn = {row["arm"]: row for row in chart.spec["datasets"]["spent_seconds"]}
    assert len(drawn) == 5
    assert drawn["generated: sft"]["verdict"] == "refused"
    # All took 5 seconds: the best of those that count.
    assert [arm for arm, row in drawn.items() if row["frontier"]] == ["generated: hpt"]


def test_the_frontier_is_what_no_other_arm_beats():
    points = [(1, 10), (2, 30), (3, 20), (4, 40), (4, 35), (0.5, 99)]
    marked = frontier(
        [
            {"spent": spent, "score": score, "verdict": "refused" if score == 99 else "within"}
            for spent, score in points
        ]
    )
    assert [row["score"] for row in marked if row["frontier"]] == [10, 30, 40]


def test_quantities_have_three_digits_and_a_prefix():
    texts = [quantity(value) for value in (0, 12.34, 999.6, 280_000, 1.234e6, 2.4e11, 3e18, math.nan)]
    assert texts == ["0", "12.3", "1 k", "280 k", "1.23 M", "240 G", "3 E", "n/a"]


def test_seconds_come_with_the_warning_that_they_are_this_machines(tmp_path):
    def seconds(arm, config):
        return dataclasses.replace(config, train=dataclasses.replace(config.train, budget=Budget(seconds=5)))

    study = Planted(
        tmp_path / "toy", changed=seconds, metrics=lambda arm, seed, step: {"time/total": 1.7 * step}
    )
    study.write()
    [section] = part(context(study)).sections
    assert any("depend on the machine" in note for note in section.notes)
    without = part(context(planted(tmp_path / "other"))).sections[0]
    assert not any("depend on the machine" in note for note in without.notes)
