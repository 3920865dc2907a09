"""Policy and critic are saved, taken back and reset together."""

import dataclasses

import pytest
import torch

from algorithms import sft
from tests.training.actor_critic import CRITIC, RATE, STAGES, all_equal, both_weights, learn, ppo
from training.checkpoint import newest_checkpoint, save_checkpoint


@pytest.fixture
def critic(critic_path):
    return dataclasses.replace(CRITIC, model=critic_path)


@pytest.mark.parametrize("stage", STAGES)
def test_learning_goes_on_bitwise_from_what_was_saved(make_actor_critic, critic, tmp_path, stage):
    learner, resumed = make_actor_critic(critic, stage), make_actor_critic(critic, stage)
    learn(learner, ppo())
    learner.save(tmp_path)
    expected = learn(learner, ppo()).metrics()
    resumed.load(tmp_path)
    assert learn(resumed, ppo()).metrics() == expected
    assert all(all_equal(both_weights(resumed), both_weights(learner)))


@pytest.mark.parametrize("stage", STAGES)
def test_a_critic_that_was_not_trained_yet_is_saved_too(make_actor_critic, critic, tmp_path, stage):
    learner, resumed = make_actor_critic(critic, stage), make_actor_critic(critic, stage)
    learn(learner, sft())
    learner.save(tmp_path)
    resumed.load(tmp_path)
    learn(learner, ppo()), learn(resumed, ppo())
    assert all(all_equal(both_weights(resumed), both_weights(learner)))


def test_a_damaged_critic_is_a_damaged_checkpoint(make_actor_critic, critic, tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, make_actor_critic(critic).save, keep=2)
    assert newest_checkpoint(tmp_path) == (2, tmp_path / "step-000002")
    damaged = next((tmp_path / "step-000002/critic/engine").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert newest_checkpoint(tmp_path) == (1, tmp_path / "step-000001")


def test_a_checkpoint_without_the_critic_is_refused(make_actor_critic, make_engine, tmp_path):
    make_engine().save(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "critic")):
        make_actor_critic(CRITIC).load(tmp_path)


@pytest.mark.parametrize("stage", STAGES)
def test_a_reset_forgets_the_moments_of_both_optimizers(make_actor_critic, critic, stage):
    learner = make_actor_critic(critic, stage, updates=1)
    learn(learner, ppo())
    learner.reset_optimizer()
    before = both_weights(learner)
    learn(learner, ppo(weight=0.0, value_weight=0.0))
    # A zero gradient and no moments leave the decay alone: w ← (1 − rate · 0.01) w.
    for found, start, rate in zip(both_weights(learner), before, (RATE, CRITIC.learning_rate), strict=True):
        assert torch.allclose(found, start * (1 - rate * 0.01), rtol=1e-6, atol=1e-9)
