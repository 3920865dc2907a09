"""The report is made of run directories alone."""

import shutil

import pytest

from studies.reporting.records import read_records
from studies.reporting.report import suite_sides, write_report
from tests.studies.synthetic import SIDES, Planted, solved


@pytest.fixture
def planted(tmp_path):
    study = Planted(tmp_path / "toy", arms=("base", "grpo"), outcome=solved)
    study.write()
    return study


def test_suites_are_on_the_side_that_their_records_say(planted):
    assert suite_sides(read_records(planted.folder)) == SIDES
    table = write_report(planted.folder, planted.folder, None, "python -m studies.run toy")
    assert "average in distribution" in table
    assert "average out of distribution" in table


def test_without_a_finished_run_no_side_is_known_and_every_cell_says_missing(planted):
    shutil.rmtree(planted.folder / "runs")
    assert suite_sides(read_records(planted.folder)) == {}
    assert "missing" in write_report(planted.folder, planted.folder, None, "python -m studies.run toy")
