"""What stands behind a number."""

import json
import shutil
import subprocess
import sys

import pytest

from studies.catalog import PROJECT
from studies.reporting.parts import Context
from studies.reporting.records import read_records
from studies.reporting.report import suite_sides
from studies.why import main
from tests.studies.recorded import PROVENANCE, Recorded


def outcome(arm, seed, suite, question, sample):
    """Seeds differ: seed 0 solves the first question alone, seed 1 the first two, seed 2 the first three."""
    return "correct" if question <= seed else "wrong"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    study = Recorded(tmp_path_factory.mktemp("whole") / "toy", outcome=outcome)
    study.write()
    return study


@pytest.fixture
def study(whole, tmp_path):
    shutil.copytree(whole.folder, tmp_path / "toy")
    return Recorded(tmp_path / "toy", outcome=outcome)


def why(capsys, folder, *arguments):
    code = main([str(folder), *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def asked(capsys, folder, *arguments):
    code, out, _ = why(capsys, folder, *arguments, "--json")
    return code, json.loads(out)


def test_the_number_is_the_tables_and_the_mean_of_its_seeds(whole, capsys):
    code, found = asked(capsys, whole.folder, "grpo", "add")
    assert code == 0
    assert [run["score"] for run in found["runs"]] == [0.25, 0.5, 0.75]
    records = read_records(whole.folder)
    summary = Context(records, suite_sides(records)).summary.set_index(["arm", "suite"])
    row = summary.loc[("grpo", "add")]
    assert found["number"]["mean"] == row["mean"] == 0.5
    assert found["number"]["se"] == row["se"] > 0
    assert (found["number"]["questions"], found["number"]["samples"], found["number"]["seeds"]) == (4, 2, 3)


def test_everything_behind_the_number_is_said(whole, capsys):
    code, out, _ = why(capsys, whole.folder, "grpo", "add")
    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0].startswith("grpo on add: 50.0 ± ")
    assert "(n = 4 questions × 2 samples, 3 of 3" in lines[0]
    assert "difference to base: +0.0 ± 0.0 points (p n/a)" in lines
    flat = " ".join(lines)
    for told in (
        "seed 1: score 50.0, finished, 3 of 3 steps, started 2026-01-02T03:04:05Z, finished 20",
        "(runs/grpo-seed1)",
        f"add: 4 questions × 2 samples, version 1, in distribution, SHA-256 of its questions {'f' * 64}",
        "rules 2, math-verify 0.9.0",
        "temperature 0.6, top_p 0.95",
        f"commit {PROVENANCE['commit']} no file differed from the commit python 3.11.7, torch 2.13.0",
        "python -m studies.run toy --scale toy --seeds 3",
        "algorithm.arguments.clip_low = 0.2",
        "fits: runs/grpo-seed2/validation/step-000002/samples.jsonl",
    ):
        assert told in flat, told
    records = read_records(whole.folder).directory / "runs/grpo-seed0"
    digests = json.loads((records / "status.json").read_text())["sha256"]
    for name, digest in digests.items():
        assert f"{digest[:12]} fits: runs/grpo-seed0/{name}" in lines


@pytest.mark.parametrize("written", ["average in distribution", "average in_distribution"])
def test_an_average_names_its_suites_and_the_scores_of_its_seeds(whole, capsys, written):
    _, found = asked(capsys, whole.folder, "grpo", written)
    assert [suite["suite"] for suite in found["suites"]] == ["add"]
    assert [run["score"] for run in found["runs"]] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("grp", "add"), "unknown arm 'grp'; did you mean grpo?"),
        (("grpo", "ad"), "unknown suite 'ad'; did you mean add?"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(whole, capsys, arguments, message):
    code, out, err = why(capsys, whole.folder, *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_folder_without_a_study_is_refused(tmp_path, capsys):
    code, _, err = why(capsys, tmp_path, "grpo", "add")
    assert code == 2
    assert f"{tmp_path}: study.json is missing" in err


def test_a_damaged_a_failed_and_a_missing_run_are_named_with_their_reasons(study, capsys):
    path = study.run("grpo", 0) / "rollouts.jsonl"
    path.write_text(path.read_text().replace("3+3", "3+4", 1))
    study.write_status("grpo", 1, "failed", "loss is not finite at step 2")
    shutil.rmtree(study.run("grpo", 2))
    code, out, _ = why(capsys, study.folder, "grpo", "add")
    flat = " ".join(out.split())
    assert code == 1
    assert flat.startswith("grpo on add: no number; failed 1 of 3")
    assert "seed 0: no score, damaged: runs/grpo-seed0: rollouts.jsonl was changed" in flat
    assert "WAS CHANGED: runs/grpo-seed0/rollouts.jsonl" in flat
    assert "seed 1: no score, failed: loss is not finite at step 2" in flat
    assert "seed 2: no score, missing (runs/grpo-seed2)" in flat


def test_runs_that_were_made_with_different_things_are_told_apart(tmp_path, capsys):
    def provenance(arm, seed):
        if seed != 2:
            return {}
        versions = PROVENANCE["versions"] | {"torch": "2.14.0"}
        return {"versions": versions, "commit": "f" * 40, "modified": ["core/masks.py"]}

    study = Recorded(tmp_path / "toy", provenance=provenance)
    study.write()
    _, out, _ = why(capsys, study.folder, "grpo", "add")
    lines = [line.strip() for line in out.splitlines()]
    assert f"commit {PROVENANCE['commit']} (seeds 0, 1)" in lines
    assert f"commit {'f' * 40} (seeds 2)" in lines
    assert "1 files differed from the commit: core/masks.py (seeds 2)" in lines
    assert "torch differs: 2.13.0 (seeds 0, 1), 2.14.0 (seeds 2)" in lines
    assert "python 3.11.7, pandas 3.1.1" in lines


def test_a_view_is_answered_from_the_runs_of_its_study(study, tmp_path, capsys):
    view = tmp_path / "view"
    view.mkdir()
    shown = {"study": "view", "title": "A view", "arms": ["grpo"], "baselines": {}, "runs_in": "../toy"}
    (view / "study.json").write_text(json.dumps(shown))
    (view / "table.md").write_text(
        "# A view\n\n## Reproduce\n\n```\npython -m studies.run view --seeds 3\n```\n"
    )
    code, found = asked(capsys, view, "grpo", "sub")
    assert (code, found["study"], found["number"]["seeds"]) == (0, "view", 3)
    assert found["command"] == "python -m studies.run view --seeds 3"
    assert why(capsys, view, "base", "sub")[0] == 2


def test_help_loads_no_heavy_package():
    code = (
        "import sys\n"
        "from studies.why import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print({'torch', 'pandas', 'optuna', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "set()"
