"""Stale weights are noticed: after each push vLLM's log-probs are compared with the trainer's."""

import math

import pytest
import torch

from tests.training.vllm_worlds import (
    BUILDERS,
    ChangingPolicy,
    assert_recovers,
    build,
    load,
    make_sampler,
    needs_vllm,
    prompts,
    sampling,
    take_over,
    worst_gap,
)
from training import vllm_engine
from training.vllm_build import VllmError
from training.vllm_check import StaleWeightsError

pytestmark = [pytest.mark.slow, needs_vllm]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return {kind: build(kind, tmp_path_factory.mktemp(kind)) for kind in BUILDERS}


@pytest.fixture(scope="module")
def samplers(paths):
    """One sampler for each kind of model; a fault costs it its engine, and the next test builds another."""
    samplers = {kind: make_sampler(path) for kind, path in paths.items()}
    yield samplers
    for sampler in samplers.values():
        sampler.close()


@pytest.fixture
def following(samplers, paths):
    """Return a starter of a sampler whose policy has changed since it was taken over."""

    def start(kind="qwen2", scale=0.2):
        return samplers[kind], take_over(samplers[kind], paths[kind], scale)

    return start


def test_a_tied_head_that_is_not_packed_again_is_noticed(following, monkeypatch):
    sampler, policy = following("qwen2")
    with monkeypatch.context() as patched:
        patched.setattr(vllm_engine, "_repack", lambda model: None)
        with pytest.raises(StaleWeightsError, match=r"by [\d.]+ on average, more than 0\.001"):
            sampler.sample(prompts(), sampling(), 0)
    assert_recovers(sampler, policy)


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_cache_that_is_not_forgotten_is_noticed(following, monkeypatch, kind):
    sampler, policy = following(kind)
    monkeypatch.setattr(sampler._engine._llm, "reset_prefix_cache", lambda: True)
    with pytest.raises(StaleWeightsError, match="vLLM does not hold the weights that are trained"):
        sampler.sample(prompts(), sampling(), 0)
    assert_recovers(sampler, policy)


def test_a_cache_that_cannot_be_forgotten_is_a_failure(following, monkeypatch):
    sampler, policy = following()
    monkeypatch.setattr(sampler._engine._llm, "reset_prefix_cache", lambda: False)
    with pytest.raises(VllmError, match="kept its cache of prompts"):
        sampler.sample(prompts(), sampling(), 0)
    assert_recovers(sampler, policy)


@pytest.mark.parametrize("kind", BUILDERS)
def test_weights_that_are_not_pushed_are_noticed(following, monkeypatch, kind):
    sampler, policy = following(kind)
    with monkeypatch.context() as patched:
        patched.setattr(vllm_engine.VllmEngine, "load", lambda engine, weights: None)
        with pytest.raises(StaleWeightsError):
            sampler.sample(prompts(), sampling(), 0)
    assert_recovers(sampler, policy)


WEIGHTS = [
    "model.layers.1.self_attn.k_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.layers.1.input_layernorm.weight",
    "model.norm.weight",
    "model.embed_tokens.weight",
]


@pytest.mark.parametrize("name", [*WEIGHTS, "model.layers.0.self_attn.q_proj.bias", "lm_head.weight"])
def test_one_weight_that_is_not_pushed_is_noticed(following, monkeypatch, name):
    sampler, policy = following("llama" if name == "lm_head.weight" else "qwen2", scale=0.5)
    whole = policy.weights
    monkeypatch.setattr(policy, "weights", lambda: (each for each in whole() if each[0] != name))
    assert name in dict(whole())
    with pytest.raises(StaleWeightsError):
        sampler.sample(prompts(), sampling(), 0)


def test_the_first_weights_are_checked_too(paths, samplers, monkeypatch):
    samplers["llama"].close()
    samplers["llama"].follow(ChangingPolicy(load(paths["llama"])))
    monkeypatch.setattr(vllm_engine.VllmEngine, "load", lambda engine, weights: None)
    with pytest.raises(StaleWeightsError):
        samplers["llama"].refresh()


def test_the_check_uses_the_cache_and_says_what_differs(following, monkeypatch):
    sampler, policy = following()
    found = []
    run = sampler._engine._run
    monkeypatch.setattr(sampler._engine, "_run", lambda *asked: found.extend(run(*asked)) or found[-1:])
    sampler.refresh()
    assert [output.num_cached_tokens > 0 for output in found] == [False, True]
    assert {len(output.outputs[0].token_ids) for output in found} == {8}
    policy.version += 1
    wrong = policy.logp
    monkeypatch.setattr(policy, "logp", lambda *asked: [*wrong(*asked)[:-1], -3.25])
    token = found[-1].outputs[0].token_ids[-1]
    with pytest.raises(StaleWeightsError, match=rf"token {token}: -\d.* and -3\.25"):
        sampler.refresh()


def test_a_trainer_that_is_not_a_number_agrees_with_nothing(following, monkeypatch):
    sampler, policy = following()
    monkeypatch.setattr(policy, "logp", lambda prompt, tokens: [math.nan] * len(tokens))
    with pytest.raises(StaleWeightsError, match="by nan on average"):
        sampler.refresh()


@pytest.mark.parametrize("kind", BUILDERS)
def test_in_bf16_weights_arrive_and_stale_ones_are_noticed(paths, kind, monkeypatch):
    sampler, policy = make_sampler(paths[kind], "bf16"), ChangingPolicy(load(paths[kind], "bf16"))
    sampler.follow(policy)
    try:
        for change in range(2):
            found = sampler.sample(prompts(), sampling(), 0)
            assert sampler._engine._llm.model_config.dtype is torch.bfloat16
            assert worst_gap(policy, prompts(), found) < 0.5
            policy.change(change, scale=0.2)
        monkeypatch.setattr(vllm_engine.VllmEngine, "load", lambda engine, weights: None)
        with pytest.raises(StaleWeightsError, match=r"more than 0\.2"):
            sampler.refresh()
    finally:
        sampler.close()


def test_weights_may_be_gone_once_the_next_is_asked_for(following, monkeypatch):
    sampler, policy = following()
    whole = policy.weights

    def lent():
        for name, weight in whole():
            copy = weight.clone()
            yield name, copy
            copy.fill_(math.nan)

    monkeypatch.setattr(policy, "weights", lent)
    assert_recovers(sampler, policy)
