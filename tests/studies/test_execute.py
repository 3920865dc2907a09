"""The real study at the tiny scale, cut short: it repeats itself, whatever happens to its processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.waiting import until

PROJECT = Path(__file__).parents[2]
SHORT = ("train.steps=6", "train.checkpoint_every=2", "evaluation.limit=5", "evaluation.samples=2")
TABLES = ("table.csv", "table.md", "table.tex", "dynamics.png", "study.json")

pytestmark = pytest.mark.slow


def start(results, *arguments):
    command = [
        sys.executable,
        "-m",
        "studies.run",
        "ablation_gate",
        "--results",
        str(results),
        "--workers",
        "2",
    ]
    command += ["--seeds", "1", *arguments, "--set", *SHORT]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, timeout=300):
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return out


def tables(results):
    return {name: (results / "ablation_gate" / name).read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    results = tmp_path_factory.mktemp("undisturbed")
    out = finish(start(results))
    return results, out


def test_every_arm_is_trained_evaluated_and_tabulated(undisturbed):
    results, out = undisturbed
    for arm in ("base", "sft", "grpo", "hpt gate=0.0", "hpt gate=0.125", "hpt gate=0.25"):
        assert f"| {arm} |" in out
    runs = {path.name: path for path in (results / "ablation_gate" / "runs").iterdir()}
    assert len(runs) == 6
    steps = [json.loads(line) for line in (runs["hpt-gate=0.0-seed0"] / "metrics.jsonl").open()]
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5, 6]
    assert all(0 < step["data/offline_row_share"] < 1 for step in steps)
    assert all(step["policy/ratio"] == 1.0 and step["policy/masked_share"] == 0.0 for step in steps)
    assert not (runs["base-seed0"] / "metrics.jsonl").exists()
    config = json.loads((runs["grpo-seed0"] / "config.json").read_text())
    assert config["run"]["algorithm"]["arguments"]["clip_low"] == 0.2
    assert config["provenance"]["versions"]["torch"].startswith("2.13")


def test_the_same_seeds_with_another_number_of_workers_give_the_same_tables(undisturbed, tmp_path):
    results, _ = undisturbed
    finish(start(tmp_path, "--workers", "1"))
    assert tables(tmp_path) == tables(results)


def at(moment, running):
    """Return whether one of the runs that are going on is where the study is to be killed."""
    if moment == "evaluating":
        return any(status["phase"] == "evaluate" and status["steps"] for status in running)
    step = 1 if moment == "training" else 3
    return any(status["phase"] == "train" and status["step"] == step for status in running)


def kill(process):
    """Kill a study, and wait until none of its processes is left."""
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), 15)


def test_a_study_killed_again_and_again_gives_the_same_tables(undisturbed, tmp_path):
    runs = tmp_path / "ablation_gate" / "runs"

    def running():
        found = [json.loads(path.read_text()) for path in runs.glob("*/status.json")]
        return [status for status in found if status["state"] == "running"]

    for moment in ("training", "between checkpoints", "evaluating"):
        process = start(tmp_path)
        until(lambda moment=moment: at(moment, running()))
        kill(process)
    finish(start(tmp_path))
    assert tables(tmp_path) == tables(undisturbed[0])


def test_a_weight_that_is_no_number_fails_the_run_and_its_cell_says_so(tmp_path):
    from safetensors.torch import load_file, save_file

    policy = tmp_path / "policy"
    policy.mkdir()
    for source in (PROJECT / "studies/scales/tiny/base_policy").iterdir():
        (policy / source.name).write_bytes(source.read_bytes())
    weights = load_file(policy / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, policy / "model.safetensors", metadata={"format": "pt"})
    study = tmp_path / "broken.py"
    study.write_text(
        "from studies.study import Arm, Study\n"
        "STUDY = Study('broken', 'A broken policy', (Arm('sft', 'sft'),), seeds=(0,))\n"
    )
    command = [sys.executable, "-m", "studies.run", str(study), "--results", str(tmp_path)]
    command += ["--set", *SHORT, f"policy={policy}"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "NotFiniteError: step 1" in done.stdout
    (saved,) = (tmp_path / "broken" / "runs" / "sft-seed0" / "failure").iterdir()
    assert str(saved) in done.stderr
