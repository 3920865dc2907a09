"""One run in this process: what is loaded beside the policy, and that every kind of algorithm can be run."""

import dataclasses
import inspect
import json

import pytest

from algorithms import ALGORITHMS
from studies.execute import execute
from studies.record import AlgorithmRecord, RunConfig
from studies.scales.tiny_scale import TINY
from training.critic_config import CriticConfig

EVALUATION = dataclasses.replace(TINY.evaluation, suites=("tiny_add2",), limit=2, samples=1)


def run_config(name, critic=None, **changes):
    function = ALGORITHMS[name]
    defaults = {each.name: each.default for each in inspect.signature(function).parameters.values()}
    arguments = {**defaults, **TINY.algorithm_arguments.get(name, {}), **changes}
    rollout = dataclasses.replace(TINY.train.rollout, samples=4)
    train = dataclasses.replace(
        TINY.train,
        steps=2,
        questions_per_step=4,
        checkpoint_every=1,
        rollout=rollout,
        critic=critic or CriticConfig(),
    )
    algorithm = AlgorithmRecord(name, arguments)
    return RunConfig(
        "study",
        name,
        0,
        "tiny",
        TINY.policy,
        TINY.train_data,
        algorithm,
        train,
        EVALUATION,
        1,
        TINY.suite_data,
    )


def steps_of(path):
    assert json.loads((path / "status.json").read_text())["state"] == "finished"
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "critic", "reference"), [("ppo", True, False), ("grpo_kl", False, True), ("grpo", False, False)]
)
def test_a_critic_and_a_reference_are_loaded_where_an_algorithm_needs_them(tmp_path, name, critic, reference):
    execute(run_config(name), tmp_path)
    steps = steps_of(tmp_path)
    assert len(steps) == 2
    assert all(("critic/loss" in step) == critic for step in steps)
    assert all(("policy/kl_reference" in step) == reference for step in steps)
    assert (tmp_path / "checkpoints/step-000002/critic").exists() == critic
    if reference:
        # The anchor is the policy that the run starts from, and stays there.
        assert steps[0]["policy/kl_reference"] == 0.0
        assert steps[1]["policy/kl_reference"] != 0.0


def test_a_critic_may_start_from_a_model_of_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    execute(run_config("ppo", CriticConfig(model=TINY.policy)), tmp_path / "named")
    execute(run_config("ppo"), tmp_path / "own")
    named, own = (
        [
            {key: value for key, value in step.items() if not key.startswith("time/")}
            for step in steps_of(path)
        ]
        for path in (tmp_path / "named", tmp_path / "own")
    )
    assert named == own


WISHES = {
    "uft": "rollout/prefix_rows",
    "prefix_rft": "rollout/prefix_rows",
    "remax": "rollout/greedy_solve_rate",
    "dapo": "rollout/dynamic_rounds",
    "relift": "train/buffer",
}


@pytest.mark.parametrize("name", WISHES)
def test_what_algorithms_ask_of_their_rollouts_is_carried_out(tmp_path, name):
    changes = {"questions": 2} if name == "relift" else {}
    execute(run_config(name, **changes), tmp_path)
    assert all(WISHES[name] in step for step in steps_of(tmp_path))
