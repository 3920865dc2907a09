"""A run that is interrupted anywhere ends as an undisturbed one: the same weights, the same metrics."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.runs import metrics, train, train_config
from training.config import EngineConfig

ROOT = Path(__file__).parents[2]
NAMES = ["grpo", "hpt", "sft_then_grpo"]


def once(policy_path, tmp_path_factory, config):
    """Return what gives weights and folder of a finished run of an algorithm, and makes each once."""
    made = {}

    def run(name):
        if name not in made:
            path = tmp_path_factory.mktemp(name)
            made[name] = train(path, policy_path, name, config), path
        return made[name]

    return run


@pytest.fixture(scope="module")
def undisturbed(policy_path, tmp_path_factory):
    """Runs of six steps, with all their checkpoints."""
    return once(policy_path, tmp_path_factory, train_config(6, keep_checkpoints=9))


@pytest.fixture(scope="module")
def undisturbed_steps(policy_path, tmp_path_factory):
    """Runs of eight steps, with a checkpoint of each."""
    return once(policy_path, tmp_path_factory, train_config(8, checkpoint_every=1, keep_checkpoints=9))


def rewind(source, path, step):
    """Copy a finished run as it was when it died some time after checkpoint `step`: metrics are ahead."""
    shutil.copytree(source, path, dirs_exist_ok=True)
    for checkpoint in (path / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("step-")) > step:
            shutil.rmtree(checkpoint)


def check_equal(path, found, expected, expected_path):
    assert torch.equal(found, expected)
    assert metrics(path) == metrics(expected_path)


@pytest.mark.parametrize("step", [0, 2, 4, 6])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_resumed_from_any_checkpoint_ends_as_if_undisturbed(
    undisturbed, policy_path, tmp_path, name, step
):
    expected, source = undisturbed(name)
    rewind(source, tmp_path, step)
    found = train(tmp_path, policy_path, name, train_config(6, keep_checkpoints=9))
    check_equal(tmp_path, found, expected, source)


REMEMBERING = ["relift", "dapo", "uft", "remax", "hysteresis", "everything", "two_stages"]


@pytest.mark.parametrize("step", [3, 5])
@pytest.mark.parametrize("name", REMEMBERING)
def test_what_a_run_remembers_beside_its_weights_comes_back(
    undisturbed_steps, policy_path, tmp_path, name, step
):
    expected, source = undisturbed_steps(name)
    rewind(source, tmp_path, step)
    found = train(tmp_path, policy_path, name, train_config(8, checkpoint_every=1, keep_checkpoints=9))
    check_equal(tmp_path, found, expected, source)
    states = [
        json.loads((path / "checkpoints/step-000008/state.json").read_text()) for path in (tmp_path, source)
    ]
    # No two clocks agree; what was spent before the resumption counts on.
    assert all(state["spent"].pop("seconds") > 0 for state in states)
    assert states[0] == states[1]


def test_the_runs_above_have_something_to_remember(undisturbed_steps):
    def states(name):
        _, source = undisturbed_steps(name)
        for step in (3, 5):
            yield json.loads((source / f"checkpoints/step-{step:06d}/state.json").read_text())

    assert all(state["buffer"] for state in states("relift"))
    assert any(any(state["memory"].values()) for state in states("hysteresis"))
    assert all(state["buffer"] and any(state["memory"].values()) for state in states("everything"))
    assert any(state["asides"] for state in states("everything"))


def test_resuming_where_a_stage_begins_resets_the_optimizer_once(undisturbed, policy_path, tmp_path):
    # Three of six steps are SFT: with a checkpoint every third step, one lies exactly at the change.
    config = train_config(6, checkpoint_every=3, keep_checkpoints=9)
    expected, source = undisturbed("sft_then_grpo")
    straight = train(tmp_path / "straight", policy_path, "sft_then_grpo", config)
    check_equal(tmp_path / "straight", straight, expected, source)
    rewind(tmp_path / "straight", tmp_path / "resumed", 3)
    found = train(tmp_path / "resumed", policy_path, "sft_then_grpo", config)
    check_equal(tmp_path / "resumed", found, expected, source)


def test_what_a_kill_leaves_behind_is_not_taken_up(undisturbed, policy_path, tmp_path):
    expected, source = undisturbed("grpo")
    rewind(source, tmp_path, 2)
    shutil.copytree(source / "checkpoints/step-000006", tmp_path / "checkpoints/step-000004.partial")
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "train/lo')
    found = train(tmp_path, policy_path, "grpo", train_config(6, keep_checkpoints=9))
    check_equal(tmp_path, found, expected, source)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    undisturbed, policy_path, tmp_path, caplog
):
    expected, source = undisturbed("grpo")
    rewind(source, tmp_path, 4)
    damaged = next((tmp_path / "checkpoints/step-000004/engine").iterdir())
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        found = train(tmp_path, policy_path, "grpo", train_config(6, keep_checkpoints=9))
    assert f"{tmp_path}/checkpoints/step-000004 is damaged" in caplog.text
    check_equal(tmp_path, found, expected, source)


def test_skipped_steps_are_counted_across_a_resume(policy_path, tmp_path):
    engine = EngineConfig(micro_batch_tokens=120, skip_norm_above=1e-9)
    config = train_config(4, engine=engine, keep_checkpoints=9)
    expected = train(tmp_path / "straight", policy_path, "sft", config)
    assert [step["train/skipped_steps"] for step in metrics(tmp_path / "straight")] == [2, 4, 6, 8]
    rewind(tmp_path / "straight", tmp_path / "resumed", 2)
    found = train(tmp_path / "resumed", policy_path, "sft", config)
    check_equal(tmp_path / "resumed", found, expected, tmp_path / "straight")


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_run_resumes_bitwise_at_every_zero_stage(policy_path, tmp_path, stage):
    config = train_config(
        4, engine=EngineConfig(zero_stage=stage, micro_batch_tokens=120), keep_checkpoints=9
    )
    expected = train(tmp_path / "straight", policy_path, "sft_then_grpo", config)
    for step in (2, 4):
        rewind(tmp_path / "straight", tmp_path / str(step), step)
        found = train(tmp_path / str(step), policy_path, "sft_then_grpo", config)
        check_equal(tmp_path / str(step), found, expected, tmp_path / "straight")


def steps_recorded(path):
    file = path / "metrics.jsonl"
    return len(file.read_text().splitlines()) if file.is_file() else 0


# When to strike: in the middle of a step, while a checkpoint is written, right after one is complete.
MOMENTS = {
    "within a step": lambda path: steps_recorded(path) >= 3,
    "within a checkpoint": lambda path: any((path / "checkpoints").glob("step-*.partial")),
    "after a checkpoint": lambda path: (path / "checkpoints/step-000004").is_dir(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grpo", "everything"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_started_again_ends_as_if_undisturbed(policy_path, tmp_path, moment, name):
    expected = train(tmp_path / "straight", policy_path, name, train_config(20))
    path = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.training.runs", str(path), policy_path, name, "20"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not MOMENTS[moment](path) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run must die by the kill"
    assert steps_recorded(path) < 20
    found = train(path, policy_path, name, train_config(20))
    check_equal(path, found, expected, tmp_path / "straight")
