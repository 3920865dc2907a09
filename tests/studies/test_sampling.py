"""Which rollout backend a run has, and how long vLLM's engine is kept."""

import dataclasses
from types import SimpleNamespace

import pytest

from studies import sampling
from studies.configuring.resolve import resolve
from tests.studies import toy
from training.ranks import Ranks
from training.transformers_rollout import TransformersSampler

MODEL = SimpleNamespace(config=SimpleNamespace(max_position_embeddings=128))


@pytest.fixture
def run():
    return resolve(toy.STUDY, [toy.SCALE], (0,)).runs[1]


@pytest.fixture(autouse=True)
def _none_kept(monkeypatch):
    monkeypatch.setattr(sampling, "_kept", {})


def with_rollout(run, **settings):
    rollout = dataclasses.replace(run.train.rollout, **settings)
    return dataclasses.replace(run, train=dataclasses.replace(run.train, rollout=rollout))


def make(run):
    return sampling.make_sampler(run, "policy", MODEL, "tokenizer", Ranks())


def test_transformers_samples_from_the_very_model_that_is_trained(run):
    sampler = make(run)
    assert isinstance(sampler, TransformersSampler)
    assert sampler.model is MODEL


def test_runs_of_equal_settings_share_an_engine(run):
    run = with_rollout(run, backend="vllm")
    assert make(run) is make(dataclasses.replace(run, arm="another", seed=7))


def test_another_setting_of_the_engine_closes_the_one_before(run, monkeypatch):
    closed = []
    monkeypatch.setattr(sampling.VllmSampler, "close", lambda self: closed.append(self))
    first = make(with_rollout(run, backend="vllm"))
    second = make(with_rollout(run, backend="vllm", batch_size=3))
    assert second is not first
    assert closed == [first]


def test_the_engine_has_room_for_what_evaluation_asks_but_not_beyond_the_model(run):
    run = with_rollout(run, backend="vllm", max_prompt_tokens=10, max_response_tokens=20)
    evaluation = dataclasses.replace(run.evaluation, max_response_tokens=30)
    assert make(dataclasses.replace(run, evaluation=evaluation)).longest == 70
    evaluation = dataclasses.replace(run.evaluation, max_response_tokens=300)
    assert make(dataclasses.replace(run, evaluation=evaluation)).longest == 128
