"""Tables come from records alone, and records that are not what a run wrote are not believed."""

import json
import shutil
import time
from dataclasses import fields

import pytest

from evaluation.records import Evaluation, SuiteInfo
from evaluation.samples import Sample
from studies.catalog import PROJECT
from studies.record import RunConfig
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from studies.reporting.sections import make_part
from studies.reporting.tables import write_tables
from tests.studies import toy
from tests.studies.recorded import Recorded, edit_json

FILES = (
    "config.json",
    "eval.json",
    "metrics.jsonl",
    "rollouts.jsonl",
    "samples.jsonl",
    "status.json",
    "validation/step-000002/eval.json",
    "validation/step-000002/samples.jsonl",
)
every_file = pytest.mark.parametrize("name", FILES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study of one seed, as it was left."""
    study = Recorded(tmp_path_factory.mktemp("whole") / "toy", seeds=(0,))
    study.write()
    return study


@pytest.fixture
def study(whole, tmp_path):
    """A copy of it to spoil."""
    shutil.copytree(whole.folder, tmp_path / "toy")
    return Recorded(tmp_path / "toy", seeds=(0,))


def reported(study):
    """Return the scores of grpo, its status, and the main table with the lines under it."""
    records = read_records(study.folder)
    scores = make_part("scores", Context(records, suite_sides(records))).sections[:1]
    table = write_tables(scores, study.folder, "again")["table.md"].read_text()
    row = next(line for line in table.splitlines() if line.startswith("| grpo |"))
    cells = [cell.strip(" *") for cell in row.strip("|").split("|")]
    return cells[1:3], cells[-1], table


def told_as(study, state, *words):
    scores, status, table = reported(study)
    assert scores == [state, state]
    assert status.startswith(state)
    for word in words:
        assert word in table
    problems = [line for line in table.splitlines() if line.startswith("- Not as it should be")]
    return "\n".join(problems)


def test_a_run_leaves_these_files_and_its_cell_has_a_number(whole):
    run = whole.run("grpo", 0)
    assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} == set(FILES)
    scores, status, table = reported(whole)
    assert all("±" in score for score in scores)
    assert status == "complete"
    assert "Not as it should be" not in table


@every_file
def test_a_file_that_is_gone_empties_the_cell_and_is_named(study, name):
    (study.run("grpo", 0) / name).unlink()
    assert f"runs/grpo-seed0: {name} is missing" in told_as(study, "damaged", f"{name} is missing")


@every_file
@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.8, 0.97])
def test_one_byte_that_changed_empties_the_cell_and_is_named(study, name, place):
    path = study.run("grpo", 0) / name
    data = bytearray(path.read_bytes())
    at = int(place * len(data))
    data[at] = ord("7") if data[at] != ord("7") else ord("8")
    path.write_bytes(data)
    problems = told_as(study, "missing" if "not counted" in reported(study)[2] else "damaged")
    assert name in problems or "runs/grpo-seed0" in problems


@pytest.mark.parametrize("key", ["state", "phase", "step", "steps", "reason", "pid"])
def test_no_word_of_a_finished_status_can_be_changed(study, key):
    path = study.run("grpo", 0) / "status.json"
    status = json.loads(path.read_text())
    status[key] = "running" if key == "state" else 99
    path.write_text(json.dumps(status))
    told_as(study, "damaged", "status.json was changed after the run had finished")


def test_a_space_more_in_a_status_is_a_change_too(study):
    path = study.run("grpo", 0) / "status.json"
    path.write_text(path.read_text() + " ")
    told_as(study, "damaged", "status.json was changed after the run had finished")


@pytest.mark.parametrize("name", ["rollouts-2.jsonl", "validation/step-000003/eval.json", "notes.json"])
def test_a_record_that_was_added_is_named(study, name):
    path = study.run("grpo", 0) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}\n")
    told_as(study, "damaged", f"{name} was added after the run had finished")


def test_a_run_that_is_gone_empties_the_cell(study):
    shutil.rmtree(study.run("grpo", 0))
    assert told_as(study, "missing") == ""


def test_a_configuration_that_the_study_lacks_empties_the_arm_and_is_named(study):
    edit_json(study.folder / "study.json", lambda held: held["runs"].pop("grpo"))
    assert "study.json: no configuration of arm 'grpo'" in told_as(study, "damaged")


def test_another_configuration_in_the_same_folder_is_named_by_its_settings(study):
    other = Recorded(study.folder.parent / "other" / "toy", seeds=(0,), steps=3, samples=1)
    other.write()
    shutil.rmtree(study.run("grpo", 0))
    shutil.copytree(other.run("grpo", 0), study.run("grpo", 0))
    assert "config.json differs from study.json in evaluation.samples" in told_as(study, "damaged")


@pytest.mark.parametrize(
    ("name", "seed", "named"),
    [("second", 0, "study 'second', arm 'grpo', seed 0"), ("toy", 5, "seed 5")],
    ids=["study", "seed"],
)
def test_a_run_of_another_study_or_seed_is_named_and_not_counted(study, name, seed, named):
    other = Recorded(study.folder.parent / "other" / name, seeds=(seed,))
    other.write()
    shutil.rmtree(study.run("grpo", 0))
    shutil.copytree(other.run("grpo", seed), study.run("grpo", 0))
    assert f"{named} is no run of this study" in told_as(study, "missing")


def test_answers_of_another_seed_are_named_even_where_no_digests_are(study):
    run = study.run("grpo", 0)
    edit_json(run / "eval.json", lambda held: held.update(seed=5))
    edit_json(run / "status.json", lambda held: held.pop("sha256"))
    told_as(study, "damaged", "eval.json is of seed 5, config.json of seed 0")


def test_tables_are_made_again_without_anything_being_run(tmp_path):
    assert toy.run(tmp_path / "made", "--seeds", "1")[0] == 0
    made = tmp_path / "made" / "toy"
    table = (made / "table.md").read_bytes()
    (made / "table.md").unlink()
    tried = toy.attempts(tmp_path / "made", "grpo", 0)
    code, out, _ = toy.run(tmp_path / "again", "--seeds", "1", "--from-records", str(made))
    assert (code, toy.attempts(tmp_path / "made", "grpo", 0)) == (0, tried)
    assert out.encode().rstrip() == table.rstrip()
    assert not (made / "table.md").exists()
    shutil.rmtree(made / "runs" / "grpo-seed0")
    code, out, _ = toy.run(tmp_path / "again", "--seeds", "1", "--from-records", str(made))
    assert code == 0
    assert "missing 1 of 1 (seed 0)" in out


@pytest.mark.slow
@pytest.mark.timing
def test_two_hundred_runs_become_tables_in_ten_seconds(tmp_path):
    study = Recorded(
        tmp_path / "toy",
        arms=tuple(f"arm {number}" for number in range(20)),
        seeds=tuple(range(10)),
        questions={f"suite{number}": 100 for number in range(6)},
        samples=4,
        steps=80,
        every=40,
        baseline="arm 0",
        outcome=lambda arm, seed, suite, q, k: (
            "wrong" if (q * 31 + k * 7 + seed * 13) % 10 < 5 else "correct"
        ),
    )
    study.write()
    began = time.process_time()
    records = read_records(study.folder)
    context = Context(records, suite_sides(records))
    for name in records.study.sections:
        make_part(name, context)
    assert time.process_time() - began < 10
    assert len(records.samples) == 200 * 2400
    assert set(records.runs["state"]) == {"finished"}


def test_the_documentation_names_every_file_and_field_of_a_run(whole):
    text = (PROJECT / "docs" / "records.md").read_text()
    run = whole.run("grpo", 0)
    named = [field.name for kind in (RunConfig, Sample, SuiteInfo, Evaluation) for field in fields(kind)]
    named += [*json.loads((run / "status.json").read_text()), "provenance"]
    named += json.loads((run / "config.json").read_text())["provenance"]
    named += json.loads((whole.folder / "study.json").read_text())
    rollout = json.loads((run / "rollouts.jsonl").read_text().splitlines()[0])
    named += [*rollout, *rollout["responses"][0]]
    assert [name for name in dict.fromkeys(named) if f"`{name}`" not in text] == []
    files = {name.replace("step-000002", "step-NNNNNN").split("/")[-1] for name in FILES}
    assert [name for name in files if f"`{name}`" not in text] == []
