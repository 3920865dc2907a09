"""The study with vLLM as its rollout backend, cut short: it repeats itself whatever happens to the engine."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.training import many_ranks
from tests.waiting import until

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SHORT = ("train.steps=6", "train.checkpoint_every=2", "evaluation.limit=5", "evaluation.samples=2")
VLLM = ("train.rollout.backend=vllm", "train.rollout.vllm.cpu_cache_gib=0.25")
STUDY = """
from studies.study import Arm, Study

STUDY = Study("sampled", "Sampled by vLLM", (Arm("grpo", "grpo"), Arm("hpt", "hpt")), (0,))
"""
ARMS = ("grpo", "hpt")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    pytest.importorskip("vllm", reason="vLLM is not installed; `make vllm` does")
    path = tmp_path_factory.mktemp("study") / "sampled.py"
    path.write_text(STUDY)
    return path


def start(study, results):
    command = [sys.executable, "-m", "studies.run", study, "--results", results, "--set", *SHORT, *VLLM]
    return subprocess.Popen(
        command, cwd=PROJECT, env=many_ranks.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def finish(process):
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def curve(results, arm):
    """Return an arm's metrics but for its times."""
    path = results / "sampled/runs" / f"{arm}-seed0" / "metrics.jsonl"
    steps = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{key: value for key, value in step.items() if not key.startswith("time/")} for step in steps]


def records(results):
    return [curve(results, arm) for arm in ARMS], (results / "sampled/table.csv").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    results = tmp_path_factory.mktemp("undisturbed")
    finish(start(study, results))
    return results


def test_what_vllm_says_of_its_samples_is_what_the_trainer_does(undisturbed):
    for arm in ARMS:
        steps = curve(undisturbed, arm)
        assert [step["step"] for step in steps] == [1, 2, 3, 4, 5, 6]
        assert all(step["policy/sampler_difference"] < 1e-4 for step in steps)
        assert all(step["rollout/solve_rate"] > 0 for step in steps)


def test_a_killed_engine_costs_the_steps_since_the_last_checkpoint_and_leaves_no_process(
    undisturbed, study, tmp_path
):
    running = start(study, tmp_path)
    # The engine lives in the worker, and has by then passed from one run to the next.
    until(lambda: len(curve(tmp_path, "hpt")) >= 3)
    everyone = psutil.Process(running.pid).children(recursive=True)
    [worker] = [each for each in everyone if "studies.running.worker" in each.cmdline()]
    worker.kill()
    finish(running)
    assert records(tmp_path) == records(undisturbed)
    until(lambda: not any(each.is_running() and each.status() != "zombie" for each in everyone), 20)
