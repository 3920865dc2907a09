"""What goes wrong with vLLM ends the run, and says why and what to change."""

import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
import torch

from tests.training.many_ranks import ROOT, environment
from tests.training.vllm_worlds import (
    ChangingPolicy,
    assert_recovers,
    build,
    load,
    make_sampler,
    needs_vllm,
    prompts,
    sampling,
    take_over,
)
from training.vllm_build import VllmError

pytestmark = [pytest.mark.slow, needs_vllm]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return build("qwen2", tmp_path_factory.mktemp("qwen2"))


@pytest.fixture(scope="module")
def sampler(path):
    """A sampler that a fault costs its engine, so that the next test builds another."""
    sampler = make_sampler(path)
    yield sampler
    sampler.close()


@pytest.fixture
def policy(sampler, path):
    """A policy that the sampler has taken over in full."""
    policy = take_over(sampler, path)
    sampler.refresh()
    return policy


def fail(error):
    def step():
        raise error

    return step


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory left"), RuntimeError("a kernel failed")])
def test_a_failure_of_the_engine_is_told_with_what_to_change(sampler, policy, monkeypatch, error):
    monkeypatch.setattr(sampler._engine._llm.llm_engine, "step", fail(error))
    with pytest.raises(VllmError, match=rf"12 responses \({type(error).__name__}: {error}.*batch_size=32"):
        sampler.sample(prompts(), sampling(), 0)
    assert_recovers(sampler, policy)


def test_a_dead_engine_is_told(sampler, policy, monkeypatch):
    from vllm.v1.engine.exceptions import EngineDeadError

    monkeypatch.setattr(sampler._engine._llm.llm_engine, "step", fail(EngineDeadError()))
    with pytest.raises(VllmError, match="EngineDeadError"):
        sampler.sample(prompts(), sampling(), 0)
    assert_recovers(sampler, policy)


def test_an_engine_that_takes_too_long_is_given_up(path, monkeypatch):
    # Building the engine may take longer than that.
    monkeypatch.setattr("training.vllm_rollout.watched", lambda seconds: nullcontext())
    sampler = make_sampler(path, vllm={"timeout_seconds": 2.0})
    sampler.follow(ChangingPolicy(load(path)))
    sampler.refresh()
    step = sampler._engine._llm.llm_engine.step
    monkeypatch.setattr(sampler._engine._llm.llm_engine, "step", lambda: time.sleep(0.3) or step())
    with pytest.raises(VllmError, match=r"TimeoutError: longer than rollout\.vllm\.timeout_seconds=2\.0"):
        sampler.sample(prompts(), sampling(max_tokens=60), 0)
    sampler.close()


HANGING = """
import sys, time
from tests.training.vllm_worlds import *
sampler = make_sampler(sys.argv[1], vllm={"timeout_seconds": 20.0})
sampler.follow(ChangingPolicy(load(sys.argv[1])))
sampler.refresh()
object.__setattr__(sampler.config.vllm, "timeout_seconds", 1.0)
sampler._engine._llm.llm_engine.step = lambda: time.sleep(100)
sampler.sample(prompts(), sampling(), 0)
"""


def test_a_process_whose_engine_hangs_ends_and_shows_where(path):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", HANGING, path],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 1
    assert time.monotonic() - started < 80
    assert "Timeout (0:00:02)!" in done.stderr
    assert "vllm_engine.py" in done.stderr


def test_memory_that_is_not_there_is_told_with_what_to_change(path):
    sampler = make_sampler(path, vllm={"cpu_cache_gib": 1e6})
    sampler.follow(ChangingPolicy(load(path)))
    with pytest.raises(VllmError, match=r"could not be started.*cpu_cache_gib=1000000\.0"):
        sampler.refresh()
    assert torch.distributed.is_initialized(), "the trainer's group is left alone"


def test_a_model_that_vllm_cannot_run_here_is_named(policy_path):
    sampler = make_sampler(policy_path, max_prompt_tokens=60)
    sampler.follow(ChangingPolicy(load(policy_path)))
    with pytest.raises(VllmError, match=r"heads are of size 16, .*rollout.backend='transformers'"):
        sampler.refresh()


def test_a_sampler_without_a_policy_says_so(path):
    with pytest.raises(RuntimeError, match=r"call follow\(policy\) first"):
        make_sampler(path).sample(prompts(), sampling(), 0)
