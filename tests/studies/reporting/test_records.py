import json
import re
import shutil
from dataclasses import replace

import pytest

from evaluation.records import answers, read_header, write_evaluation
from studies.reporting.records import read_records
from studies.reporting.run_files import DamagedRecordError
from tests.studies.synthetic import Planted


@pytest.fixture
def planted(tmp_path):
    study = Planted(tmp_path / "toy")
    study.write()
    return study


def state(records, arm, seed):
    row = records.runs[(records.runs["arm"] == arm) & (records.runs["seed"] == seed)]
    assert len(row) == 1
    return row["state"].item(), row["reason"].item()


def test_every_run_sample_and_step_is_read_once(planted):
    records = read_records(planted.folder)
    wanted = [(arm, seed) for arm in ("base", "grpo") for seed in (0, 1, 2)]
    assert list(zip(records.runs["arm"], records.runs["seed"], strict=True)) == wanted
    assert set(records.runs["state"]) == {"finished"}
    assert len(records.samples) == 6 * (4 + 2) * 2
    assert list(records.metrics["step"]) == [1, 2, 3] * 3
    assert set(records.metrics["arm"]) == {"grpo"}
    assert records.study.suites == ("add", "sub")
    assert records.problems == ()


def test_responses_and_lists_are_not_kept(planted):
    records = read_records(planted.folder)
    assert "response" not in records.samples
    assert "rollout/solve_rates" not in records.metrics
    assert records.samples["question"].dtype == "category"


def test_a_run_that_is_not_there_is_missing(planted):
    shutil.rmtree(planted.run("grpo", 1))
    records = read_records(planted.folder)
    assert state(records, "grpo", 1) == ("missing", "")
    assert len(records.samples) == 5 * 12


def test_an_unfinished_run_is_not_read(planted):
    planted.write_status("grpo", 1, "running", None)
    (planted.run("grpo", 1) / "metrics.jsonl").write_text('{"step": 1, "tr')
    records = read_records(planted.folder)
    assert state(records, "grpo", 1)[0] == "running"
    assert len(records.samples) == 5 * 12
    assert records.problems == ()


def test_a_failed_run_keeps_its_reason(planted):
    planted.write_status("grpo", 2, "failed", "loss is not finite at step 2")
    assert state(read_records(planted.folder), "grpo", 2) == ("failed", "loss is not finite at step 2")


def cut(path):
    text = path.read_text()
    path.write_text(text[: len(text) - 30])


def drop_line(path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))


def edit(key, value):
    def change(path):
        document = json.loads(path.read_text())
        document[key] = value
        path.write_text(json.dumps(document))

    return change


@pytest.mark.parametrize(
    ("file", "spoil", "told"),
    [
        ("metrics.jsonl", cut, "metrics.jsonl line 3: "),
        ("metrics.jsonl", drop_line, "metrics.jsonl line 2: the lines are not steps 1 to 3"),
        ("metrics.jsonl", lambda path: path.unlink(), "metrics.jsonl is missing"),
        ("metrics.jsonl", lambda path: path.write_text('{"step": 1}\n'), "line 1: no 'data/rows'"),
        ("eval.json", cut, "eval.json is not a whole evaluation record: .* line 61"),
        ("eval.json", lambda path: path.unlink(), "eval.json is missing"),
        ("eval.json", edit("finished", False), "eval.json: the evaluation is not finished"),
        ("samples.jsonl", drop_line, "samples.jsonl was changed after the evaluation"),
        ("samples.jsonl", lambda path: path.unlink(), "samples.jsonl is missing"),
        ("status.json", lambda path: path.unlink(), "status.json is missing"),
        ("status.json", edit("state", "done"), "state 'done' is none of"),
        ("config.json", cut, "config.json line 1: "),
        ("config.json", lambda path: path.write_bytes(b"\xff\xfe"), "config.json: no UTF-8 text at byte 0"),
    ],
)
def test_a_damaged_file_is_named_and_its_run_not_counted(planted, file, spoil, told):
    spoil(planted.run("grpo", 1) / file)
    records = read_records(planted.folder)
    found, reason = state(records, "grpo", 1)
    assert found == "damaged"
    assert reason.startswith("runs/grpo-seed1: ")
    assert str(planted.folder) not in reason
    assert re.search(told, reason)
    assert records.problems == (f"grpo, seed 1: {reason}",)
    assert len(records.samples) == 5 * 12


def test_a_run_of_another_configuration_is_named_with_what_differs(planted):
    path = planted.run("grpo", 0) / "config.json"
    document = json.loads(path.read_text())
    document["run"]["train"]["optimizer"]["learning_rate"] = 1.0
    document["run"]["algorithm"]["arguments"]["clip"] = 0.3
    path.write_text(json.dumps(document))
    found, reason = state(read_records(planted.folder), "grpo", 0)
    assert found == "damaged"
    assert reason.endswith("in algorithm.arguments.clip, train.optimizer.learning_rate")


def test_an_evaluation_by_another_protocol_is_named(planted):
    path = planted.run("grpo", 0) / "eval.json"
    document = json.loads(path.read_text())
    document["protocol"]["temperature"] = 1.0
    path.write_text(json.dumps(document))
    assert "protocol.temperature" in state(read_records(planted.folder), "grpo", 0)[1]


def test_a_path_of_another_clone_is_no_difference(planted):
    path = planted.run("grpo", 0) / "config.json"
    document = json.loads(path.read_text())
    document["run"]["policy"] = f"/elsewhere/{document['run']['policy']}"
    path.write_text(json.dumps(document))
    assert state(read_records(planted.folder), "grpo", 0)[0] == "finished"


def test_no_seed_is_counted_twice(planted):
    shutil.copytree(planted.run("grpo", 1), planted.folder / "runs" / "a-copy")
    records = read_records(planted.folder)
    found, reason = state(records, "grpo", 1)
    assert found == "damaged"
    assert "runs/a-copy, runs/grpo-seed1" in reason
    assert len(records.samples) == 5 * 12


def test_runs_that_nobody_asked_for_are_named_and_not_counted(planted):
    planted.write_run("grpo", 7)
    records = read_records(planted.folder)
    assert len(records.runs) == 6
    assert "runs/grpo-seed7" in records.problems[0]
    assert set(records.samples["seed"]) == {0, 1, 2}


def test_a_run_of_another_study_is_not_counted(planted):
    path = planted.run("grpo", 0) / "config.json"
    document = json.loads(path.read_text())
    document["run"]["study"] = "another"
    path.write_text(json.dumps(document))
    records = read_records(planted.folder)
    assert state(records, "grpo", 0)[0] == "missing"
    assert "study 'another'" in records.problems[0]


def test_other_prompts_and_versions_are_told(planted):
    directory = planted.run("grpo", 0)
    header, (first, *others) = read_header(directory), answers(directory)
    suites = {**header.suites, "sub": replace(header.suites["sub"], version="2")}
    changed = [replace(first, prompt_sha256="0" * 64), *others]
    write_evaluation(directory, replace(header, suites=suites), changed)
    problems = read_records(planted.folder).problems
    assert problems == (
        "suite 'add': 1 questions have not the same prompt in every run",
        "suite 'sub': runs have 2 versions",
    )


def test_without_a_study_there_are_no_records(planted):
    (planted.folder / "study.json").write_text('{"study": "toy"}')
    with pytest.raises(DamagedRecordError, match=r"study.json: no 'arms'"):
        read_records(planted.folder)
