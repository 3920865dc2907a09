"""A study's own audit: once, recorded, and in the way of a study whose engine is wrong."""

import json
from importlib import metadata

import pytest

from studies.auditing.of_study import RECORD, audit_study, notes, read_study_audits, verdict
from studies.catalog import UsageError
from studies.configuring.changes import Changes
from studies.configuring.resolve import resolve
from studies.directories import run_directory
from studies.reporting.report import write_report
from tests.studies import toy
from training.run_dir import RunDirectory

VERSIONS = {"torch": "2.13.0", "deepspeed": "0.19.8"}


class Auditor:
    """Finds what it is told to, and counts how often it is asked."""

    def __init__(self, *faults):
        self.faults, self.asked = list(faults), []

    def __call__(self, engine, ranks):
        self.asked.append((engine.zero_stage, ranks))
        return {"passed": not self.faults, "diagnoses": self.faults, "versions": VERSIONS, "cells": []}


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    installed = metadata.version
    monkeypatch.setattr("importlib.metadata.version", lambda name: VERSIONS.get(name) or installed(name))


@pytest.fixture
def runs():
    return resolve(toy.STUDY, [toy.SCALE], (0,)).runs


def changed(**settings):
    settings = {key.replace("__", "."): value for key, value in settings.items()}
    return resolve(toy.STUDY, [toy.SCALE], (0,), Changes(settings=settings)).runs


def test_an_engine_is_audited_once_in_a_study(runs, tmp_path):
    auditor = Auditor()
    audit_study(runs, tmp_path, (), auditor)
    audit_study(runs, tmp_path, (), auditor)
    assert auditor.asked == [(0, 1)]
    assert verdict(read_study_audits(tmp_path)) == "passed"
    assert notes(read_study_audits(tmp_path)) == ["Gradient audit passed: ZeRO 0, fp32, 1 rank."]


def test_the_size_of_micro_batches_is_part_of_every_audit(runs, tmp_path):
    auditor = Auditor()
    audit_study(runs, tmp_path, (), auditor)
    audit_study(changed(train__engine__micro_batch_tokens="77"), tmp_path, (), auditor)
    assert len(auditor.asked) == 1


@pytest.mark.parametrize("other", [{"train__engine__zero_stage": "2"}, {"ranks": "2"}])
def test_another_engine_is_audited_by_itself(runs, tmp_path, other):
    auditor = Auditor()
    audit_study(runs, tmp_path, (), auditor)
    audit_study(changed(**other), tmp_path, (), auditor)
    assert len(auditor.asked) == 2
    assert len(notes(read_study_audits(tmp_path))[0].split(";")) == 2


def test_other_versions_are_audited_anew(runs, tmp_path, monkeypatch):
    auditor = Auditor()
    audit_study(runs, tmp_path, (), auditor)
    monkeypatch.setitem(VERSIONS, "deepspeed", "0.20.0")
    audit_study(runs, tmp_path, (), auditor)
    assert len(auditor.asked) == 2


def test_what_is_finished_or_does_not_train_is_not_audited(runs, tmp_path):
    auditor = Auditor()
    for run in runs:
        directory = run_directory(tmp_path, run.arm, run.seed)
        directory.mkdir(parents=True)
        if run.algorithm is not None:
            RunDirectory(directory).write_status("finished", "evaluate", 1, 1)
    audit_study(runs, tmp_path, (), auditor)
    assert auditor.asked == []
    assert verdict(read_study_audits(tmp_path)) == "not audited"


def test_a_wrong_engine_stops_the_study_and_says_how_to_go_on(runs, tmp_path):
    with pytest.raises(UsageError, match="--despite-audit dropped_micro_batches rank_factor") as refusal:
        audit_study(runs, tmp_path, (), Auditor("dropped_micro_batches", "rank_factor"))
    assert str(tmp_path / RECORD) in str(refusal.value)
    with pytest.raises(UsageError, match=r"failed: rank_factor\."):
        audit_study(runs, tmp_path, ("dropped_micro_batches", "mean_of_means"), Auditor())


def test_a_study_goes_on_despite_faults_that_are_named_and_remembers_it(runs, tmp_path):
    auditor = Auditor("dropped_micro_batches")
    audit_study(runs, tmp_path, ("dropped_micro_batches",), auditor)
    audit_study(runs, tmp_path, (), auditor)
    assert len(auditor.asked) == 1
    [held] = read_study_audits(tmp_path)
    assert held.despite == ("dropped_micro_batches",)
    assert verdict([held]) == "failed: dropped_micro_batches"
    assert notes([held])[0].startswith(
        "WARNING: the gradient audit of this study's engine (ZeRO 0, fp32, 1 rank)"
    )


def test_every_table_carries_the_warning(runs, tmp_path):
    resolved = resolve(toy.STUDY, [toy.SCALE], (0,))
    (tmp_path / "study.json").write_text(json.dumps(resolved.description()))
    audit_study(runs, tmp_path, ("mean_of_means",), Auditor("mean_of_means"))
    markdown = write_report(tmp_path, tmp_path, None, "command")
    assert "WARNING: the gradient audit" in markdown
    assert "WARNING: the gradient audit" in (tmp_path / "table.tex").read_text()
    header, *rows = (tmp_path / "table.csv").read_text().splitlines()
    assert header.endswith(",audit")
    assert all(row.endswith(",failed: mean_of_means") for row in rows)


def test_a_record_that_cannot_be_read_is_named(runs, tmp_path):
    (tmp_path / RECORD).write_text("{")
    with pytest.raises(UsageError, match=RECORD):
        audit_study(runs, tmp_path, (), Auditor())
