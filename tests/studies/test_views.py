"""Studies that report on others' runs, studies at several scales, and tables made again from records."""

import contextlib
import io
import json
import shutil

import pytest

from studies.catalog import UsageError
from studies.configuring.requested import request
from studies.reporting.records import read_records
from studies.run import main
from tests.studies import toy

TOY = str(toy.HERE / "toy.py")
VIEW = """
from studies.study import Arm, Study

STUDY = Study("seen", "Of the toy", (Arm("sft"), Arm("grpo")), baseline="sft", runs_of={toy!r})
"""
SECOND_SCALE = """
import dataclasses
from tests.studies import toy

SCALE = dataclasses.replace(toy.SCALE, name="second", policy="another/policy")
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    assert toy.run(folder)[0] == 0
    return folder


@pytest.fixture
def view(tmp_path):
    file = tmp_path / "view.py"
    file.write_text(VIEW.format(toy=TOY))
    return str(file)


@pytest.fixture
def second(tmp_path):
    file = tmp_path / "second.py"
    file.write_text(SECOND_SCALE)
    return str(file)


def run(*arguments):
    """Return the exit code of `studies.run` and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments, execute="tests.studies.toy_executor:execute", check=lambda runs: None)
    return code, out.getvalue(), err.getvalue()


def test_a_view_reports_on_the_other_studys_runs_and_trains_none_again(results, view):
    before = sorted(path for path in (results / "toy").rglob("*") if path.is_file())
    code, out, err = run(view, "--scale", TOY, "--results", str(results))
    assert code == 0
    assert "started" not in err
    assert out.startswith("# Of the toy\n")
    assert "| base |" not in out
    assert "## Difference to sft" in out
    assert sorted(path for path in (results / "toy").rglob("*") if path.is_file()) == before
    assert not (results / "seen" / "runs").exists()
    assert (results / "seen" / "table.md").read_text().rstrip("\n") == out.rstrip("\n")


def test_a_view_carries_out_what_is_missing_of_the_other_study(view, tmp_path):
    code, _, _ = run(view, "--scale", TOY, "--results", str(tmp_path / "results"))
    assert code == 0
    runs = tmp_path / "results" / "toy" / "runs"
    assert sorted(path.name for path in runs.iterdir()) == [
        f"{arm}-seed{seed}" for arm in ("base", "grpo", "sft") for seed in (0, 1)
    ]


def test_the_folder_of_a_view_leads_to_its_runs(results, view):
    run(view, "--scale", TOY, "--results", str(results))
    records = read_records(results / "seen")
    assert (records.study.name, records.study.source) == ("seen", "toy")
    assert records.study.arms == ("sft", "grpo")
    assert set(records.runs["state"]) == {"finished"}
    assert records.problems == ()


def test_a_view_of_an_arm_that_is_not_there_is_refused(tmp_path):
    file = tmp_path / "view.py"
    file.write_text(VIEW.format(toy=TOY).replace('Arm("grpo")', 'Arm("gpro")'))
    with pytest.raises(UsageError, match=r"\['gpro'\] are none of 'toy'"):
        request(str(file), [TOY], None)


def test_tables_are_made_again_from_records_elsewhere(results, tmp_path):
    shutil.copytree(results / "toy", tmp_path / "moved")
    for table in (tmp_path / "moved").glob("table.*"):
        table.unlink()
    again = ("--scale", TOY, "--from-records", str(tmp_path / "moved"), "--results", str(tmp_path / "new"))
    code, _, _ = run(TOY, *again)
    assert code == 0
    assert (tmp_path / "new/toy/table.md").read_bytes() == (results / "toy/table.md").read_bytes()
    assert not (tmp_path / "new/toy/runs").exists()
    assert json.loads((tmp_path / "new/toy/study.json").read_text())["runs_in"] == "../../moved"
    shutil.rmtree(tmp_path / "moved/runs/grpo-seed1")
    assert "missing 1 of 2 (seed 1)" in run(TOY, *again)[1]


def test_a_folder_without_records_is_refused(tmp_path):
    code, out, err = run(TOY, "--scale", TOY, "--from-records", str(tmp_path), "--results", str(tmp_path))
    assert (code, out) == (2, "")
    assert "study.json is missing" in err


def test_at_several_scales_every_arm_runs_at_each_and_is_compared_within_it(second, tmp_path):
    code, out, _ = run(TOY, "--scale", TOY, "--scale", second, "--results", str(tmp_path))
    assert code == 0
    records = read_records(tmp_path / "toy")
    assert records.study.arms == tuple(
        f"{scale} {arm}" for scale in ("toy", "second") for arm in ("base", "sft", "grpo")
    )
    assert records.study.baselines["second sft"] == "second grpo"
    assert "toy grpo" not in records.study.baselines
    policies = {records.study.runs[arm]["policy"] for arm in records.study.arms}
    assert policies == {"no/policy", "another/policy"}
    assert "## Differences to baselines" in out
    assert "--scale" in out.rpartition("## Reproduce")[2]


def test_a_study_says_what_all_its_arms_have_otherwise_at_a_scale(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        """
from studies.study import Arm, Study

STUDY = Study(
    "own",
    "Own settings",
    (Arm("sft", "sft", settings={"train.steps": 4}), Arm("grpo", "grpo")),
    settings={"train.steps": 2, "evaluation.samples": 3},
    scale_settings={"toy": {"evaluation.samples": 5}, "tiny": {"evaluation.samples": 7}},
)
"""
    )
    sft, grpo = request(str(file), [TOY], 1).resolved.runs
    assert (sft.train.steps, grpo.train.steps) == (4, 2)
    assert (sft.evaluation.samples, grpo.evaluation.samples) == (5, 5)
    changed = request(str(file), [TOY], 1, ["evaluation.samples=9"]).resolved.runs
    assert {run.evaluation.samples for run in changed} == {9}
