import random

import pytest

from studies.reporting.best import best_cells, best_note, families
from studies.reporting.parts import Cell, Context
from studies.reporting.records import read_records
from studies.reporting.sections.scores import part
from tests.studies.synthetic import SIDES, Planted


def draws(chances):
    """Return answers that are correct by chance: what each arm's chance is, on any question."""

    def outcome(arm, seed, suite, question, sample):
        drawn = random.Random(f"{arm} {seed} {suite} {question} {sample}").random()
        return "correct" if drawn < chances[arm] else "wrong"

    return outcome


def planted(folder, chances, **values):
    values = {"questions": {"add": 60}, "seeds": (0, 1, 2), "baseline": None} | values
    study = Planted(folder, tuple(chances), outcome=draws(chances), **values)
    study.write()
    return study


def context(study):
    return Context(read_records(study.folder), SIDES)


def test_the_best_is_bold_where_every_other_arm_is_significantly_worse(tmp_path):
    study = planted(tmp_path / "toy", {"a": 0.3, "b": 0.9, "c": 0.5})
    found = context(study)
    assert best_cells(found) == {Cell(1, "add"), Cell(1, "average in distribution")}
    [section] = part(found).sections
    assert section.bold == best_cells(found)
    assert any(note.startswith("Bold: the best of a column") for note in section.notes)


def test_the_best_is_not_bold_where_one_other_arm_is_as_good(tmp_path):
    # c is far ahead of a, and not of b.
    study = planted(tmp_path / "toy", {"a": 0.1, "b": 0.70, "c": 0.72})
    found = context(study)
    assert best_cells(found) == frozenset()
    assert best_note(found, frozenset()).startswith("Nothing is bold")


def test_with_one_seed_nothing_is_bold(tmp_path):
    study = planted(tmp_path / "toy", {"a": 0.05, "b": 0.95}, seeds=(0,))
    assert best_cells(context(study)) == frozenset()


def test_an_arm_with_one_finished_seed_keeps_the_best_from_being_bold(tmp_path):
    study = planted(tmp_path / "toy", {"a": 0.3, "b": 0.9, "c": 0.2})
    for seed in (1, 2):
        study.write_status("c", seed, "failed", "out of memory")
    assert best_cells(context(study)) == frozenset()
    study.write_status("c", 0, "failed", "out of memory")
    # Without any score it is no competitor.
    assert Cell(1, "add") in best_cells(context(study))


def test_bold_is_corrected_for_the_number_of_arms(tmp_path):
    chances = {"a": 0.5, "b": 0.5, "best": 0.74}
    study = planted(tmp_path / "two", {name: chances[name] for name in ("a", "best")}, samples=1)
    alone = {cell for cell in best_cells(context(study)) if cell.column == "add"}
    many = dict.fromkeys([f"a{number}" for number in range(25)], 0.5)
    study = planted(tmp_path / "many", {"a": 0.5, **many, "best": 0.74}, samples=1)
    among_many = {cell for cell in best_cells(context(study)) if cell.column == "add"}
    assert alone == {Cell(1, "add")}
    assert among_many == set()


def test_with_several_baselines_arms_compete_with_those_of_the_same_one(tmp_path):
    chances = {"x: base": 0.2, "x: good": 0.9, "y: base": 0.5, "y: good": 0.95}
    baselines = {"x: good": "x: base", "y: good": "y: base"}
    study = planted(tmp_path / "toy", chances, baselines=baselines)
    found = context(study)
    assert families(found.records.study) == [["x: base", "x: good"], ["y: base", "y: good"]]
    assert {Cell(1, "add"), Cell(3, "add")} <= best_cells(found)
    assert "the same baseline" in best_note(found, best_cells(found))


@pytest.mark.parametrize("arms", [2, 3])
def test_equal_arms_are_bold_no_oftener_than_in_one_of_twenty_columns(tmp_path, arms):
    # Each suite is a study of its own: equal arms, other questions.
    suites = {f"suite{number}": 12 for number in range(150)}
    names = [f"arm{number}" for number in range(arms)]
    study = planted(
        tmp_path / "toy", dict.fromkeys(names, 0.5), questions=suites, samples=1, seeds=(0, 1, 2, 3)
    )
    found = [cell for cell in best_cells(Context(read_records(study.folder), {})) if cell.column in suites]
    # 5 % of 150 are 7.5 ± 2.7.
    assert len(found) <= 15
