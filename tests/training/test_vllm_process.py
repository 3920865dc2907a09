"""vLLM beside the trainer: in the same process, on several ranks, and gone without a trace."""

import dataclasses
import gc
import importlib
import json
import os
import random
import sys

import numpy as np
import psutil
import pytest
import torch

from tests.training import many_ranks
from tests.training.vllm_worlds import (
    ChangingPolicy,
    build,
    load,
    make_sampler,
    needs_vllm,
    prompts,
    sampling,
    worst_gap,
)
from training.config import EngineConfig, OptimizerConfig
from training.engine import Engine
from training.live_policy import TrainedPolicy
from training.policy import ScoringPolicy
from training.responses import Response, collate

pytestmark = [pytest.mark.slow, needs_vllm]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return build("qwen2", tmp_path_factory.mktemp("qwen2"))


# vLLM's own; what torch's compiler notes for itself; and which test is running.
PASSING = ("VLLM_", "_TORCHINDUCTOR_", "PYTEST_")


def surroundings():
    return {
        "threads": torch.get_num_threads(),
        "set_num_threads": torch.set_num_threads,
        "affinity": os.sched_getaffinity(0),
        "environment": {name: text for name, text in os.environ.items() if not name.startswith(PASSING)},
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.random.get_rng_state().tolist(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "frozen": gc.get_freeze_count(),
        "children": psutil.Process().children(recursive=True),
        "shared memory": sorted(os.listdir("/dev/shm")),
        "ranks": torch.distributed.get_world_size(),
    }


def changes(before):
    return [name for name, value in surroundings().items() if value != before[name]]


def test_the_process_is_left_as_it_was(path, capfd):
    sampler = make_sampler(path)
    # Importing vLLM sets some of torch's own settings for its compiler, once.
    importlib.import_module("vllm")
    torch.set_num_threads(1)
    policy = ChangingPolicy(load(path))
    sampler.follow(policy)
    before = surroundings()
    capfd.readouterr()
    sampler.sample(prompts(), sampling(), 0)
    assert changes(before) == []
    sampler.close()
    assert changes(before) == []
    written = capfd.readouterr()
    assert not written.out
    assert "WARNING" not in written.err
    torch.set_num_threads(2)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_a_closed_engine_frees_its_memory_and_another_takes_its_place(path):
    process = psutil.Process()
    seen = []
    for tokens in (160, 100, 128):
        sampler = make_sampler(path, vllm={"cpu_cache_gib": 0.5}, max_prompt_tokens=tokens - 64)
        policy = ChangingPolicy(load(path))
        sampler.follow(policy)
        found = sampler.sample([(3, 4, 5)], sampling(max_tokens=tokens - 3), 0)
        assert worst_gap(policy, [(3, 4, 5)], found) < 1e-4
        open_size = process.memory_info().rss
        sampler.close()
        sampler.follow(None)
        gc.collect()
        seen.append((open_size, process.memory_info().rss))
    sizes = [closed for _, closed in seen]
    assert sizes[-1] - sizes[0] < 60 * 2**20, seen


@pytest.mark.parametrize("stage", [0, 3])
def test_an_engine_is_followed_as_it_trains(path, stage):
    config = EngineConfig(zero_stage=stage)
    engine = Engine(ScoringPolicy(load(path), 0.8), config, OptimizerConfig(learning_rate=1e-2))
    sampler = make_sampler(path)
    policy = TrainedPolicy(engine)
    sampler.follow(policy)
    row = Response(0, prompts()[4], tuple(range(5, 15)), is_demonstration=True, reward=0.0)
    first = None
    try:
        for _ in range(3):
            found = sampler.sample(prompts(), sampling(), 0)
            gaps = [
                abs(mine - theirs)
                for prompt, each in zip(prompts(), found, strict=True)
                for mine, theirs in zip(policy.logp(prompt, each.tokens), each.logp, strict=True)
            ]
            assert max(gaps) < 1e-4
            assert found != first
            first = found
            inputs = collate([row], engine.device)
            engine.backward(-engine.score(inputs).logp.sum(), last=True)
            assert engine.step(1e-2).applied
    finally:
        sampler.close()
        engine.close()


def test_a_changed_configuration_of_the_model_reaches_vllm(path):
    from training.policy import load_model

    overrides = {"rope_theta": 500.0}
    policy = ChangingPolicy(load_model(path, "fp32", overrides=overrides))
    with torch.no_grad():
        policy.model.model.norm.weight.mul_(10.0)
    sampler = dataclasses.replace(make_sampler(path), overrides=overrides)
    sampler.follow(policy)
    found = sampler.sample(prompts(), sampling(), 0)
    sampler.close()
    assert worst_gap(policy, prompts(), found) < 1e-4


def test_two_ranks_each_sample_a_share_and_are_told_the_others(path):
    lines = many_ranks.run(2, "tests.training.vllm_worlds", path).splitlines()
    said = sorted((json.loads(line) for line in lines), key=lambda each: each["rank"])
    assert [each["rank"] for each in said] == [0, 1]
    # Prompts end in 3 to 9; the second call has one prompt, which only the first rank is asked.
    assert [each["asked"] for each in said] == [[[3, 5, 7, 9], [3]], [[4, 6, 8]]]
    assert said[0]["tokens"] == said[1]["tokens"]
    assert said[0]["first"] == said[1]["first"] == said[0]["tokens"][0]
    assert max(each["gap"] for each in said) < 1e-4
    # vLLM asks who is on the same machine, over shared memory; the tracker of that ends with its process.
    children = [" ".join(command) for each in said for command in each["children"]]
    assert [command for command in children if "resource_tracker" not in command] == []
    assert not [name for name in os.listdir("/dev/shm") if name.startswith("psm_")]
    alone = make_sampler(path)
    policy = ChangingPolicy(load(path))
    alone.follow(policy)
    policy.change()
    found = alone.sample(prompts(7), sampling(), seed=5)
    alone.close()
    assert [list(each.tokens) for each in found] == said[0]["tokens"], "draws don't depend on the ranks"
    assert "vllm" in sys.modules
