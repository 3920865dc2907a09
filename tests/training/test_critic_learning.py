"""What the critic learns, and how it is warmed up before the policy."""

import dataclasses

import pytest
import torch

from algorithms import grpo
from core import Gae
from tests.training.actor_critic import CRITIC, all_equal, both_weights, learn, ppo
from tests.training.rows import make_row
from training.critic_config import CriticConfig

EASY = CriticConfig(learning_rate=1e-2)


@pytest.fixture
def critic(critic_path):
    return dataclasses.replace(CRITIC, model=critic_path)


def rewarded(rewards):
    return [make_row(question, 6, 4 + i, rewards[question]) for question in rewards for i in range(3)]


def learnt(learner, rows, batches):
    algorithm = ppo(gae=Gae())
    return [learn(learner, algorithm, rows, rate=0.0).metrics() for _ in range(batches)]


def test_the_critic_learns_which_questions_are_solved(make_actor_critic):
    found = learnt(make_actor_critic(EASY, updates=1), rewarded({1: 1.0, 2: 0.0}), 25)
    explained = [each["critic/explained_variance"] for each in found]
    # A head of zeros explains nothing.
    assert explained[0] == 0.0
    assert explained[-1] > 0.8
    assert found[-1]["critic/loss"] < 0.2 * found[0]["critic/loss"]


def test_the_critic_learns_a_constant_reward(make_actor_critic):
    found = learnt(make_actor_critic(EASY, updates=1), rewarded({1: 1.0, 2: 1.0}), 25)
    assert (found[0]["critic/value"], found[0]["critic/return"]) == (0.0, 1.0)
    assert found[0]["critic/loss"] == pytest.approx(0.5, rel=1e-6)
    assert found[-1]["critic/value"] == pytest.approx(1.0, abs=0.15)
    # Returns that do not vary leave nothing to explain.
    assert found[-1]["critic/explained_variance"] is None


@pytest.mark.parametrize("stage", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_critic_learns_in_bf16(make_actor_critic, stage):
    rows = rewarded({1: 1.0, 2: 0.0})
    found = learnt(make_actor_critic(EASY, stage, updates=1, precision="bf16"), rows, 25)
    assert found[-1]["critic/explained_variance"] > 0.7


def test_the_critic_is_warmed_up_alone_even_across_a_checkpoint(make_actor_critic, critic, tmp_path):
    critic = dataclasses.replace(critic, warmup_steps=2)
    learner, resumed = make_actor_critic(critic), make_actor_critic(critic)
    start = both_weights(learner)
    found = learn(learner, ppo()).metrics()
    assert all_equal(both_weights(learner), start) == [True, False]
    assert found["train/gradient_norm"] is None
    assert found["critic/gradient_norm"] > 0.0
    learner.save(tmp_path)
    resumed.load(tmp_path)
    assert learn(resumed, ppo()).metrics() == learn(learner, ppo()).metrics()
    assert torch.equal(both_weights(resumed)[0], start[0])
    found = learn(resumed, ppo()).metrics()
    assert found["train/gradient_norm"] > 0.0
    # No gradient of the warm-up was kept: with one batch of it more, the policy's first steps are the same.
    assert found == learn(learner, ppo()).metrics()
    assert all(all_equal(both_weights(resumed), both_weights(learner)))
    assert not torch.equal(both_weights(resumed)[0], start[0])


def test_warming_up_holds_back_only_algorithms_with_a_critic(make_actor_critic, critic):
    learner = make_actor_critic(dataclasses.replace(critic, warmup_steps=1))
    start = both_weights(learner)
    found = learn(learner, grpo()).metrics()
    assert all_equal(both_weights(learner), start) == [False, True]
    assert not any(name.startswith("critic/") for name in found)
    before = both_weights(learner)
    learn(learner, ppo())
    assert all_equal(both_weights(learner), before) == [True, False]
