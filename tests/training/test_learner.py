"""One rollout batch in, new weights out: policy and critic against PPO in plain PyTorch."""

import dataclasses

import pytest
import torch

from core import EntropyBonus, Rollouts, TokenMean
from tests.training.actor_critic import (
    CRITIC,
    RATE,
    ROWS,
    STAGES,
    all_equal,
    both_weights,
    flat,
    learn,
    models,
    ppo,
    textbook_ppo,
)
from training.critic import load_critic_model
from training.policy import load_model
from training.update import NotFiniteError

# Two updates a batch: questions 7 and 3, then 4 and 5.
PARTS = [[r for r in ROWS if r.question in part and not r.is_demonstration] for part in ({7, 3}, {4, 5})]
CLIP = 0.05


@pytest.fixture
def critic(critic_path):
    return dataclasses.replace(CRITIC, model=critic_path)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_policy_and_critic_after_a_batch_are_those_of_the_textbook(
    make_actor_critic, critic, policy_path, critic_path, stage
):
    learner = make_actor_critic(critic, stage)
    before = both_weights(learner)
    expected = load_model(policy_path, "fp32"), load_critic_model(critic_path, "fp32").model
    clips = CLIP, critic.gradient_clip
    seen = textbook_ppo(*expected, PARTS, (RATE, critic.learning_rate), clips)
    found = learn(learner, ppo()).metrics()
    for mine, textbook, start in zip(both_weights(learner), expected, before, strict=True):
        moved = flat(textbook) - start
        assert float((mine - start - moved).norm() / moved.norm()) < 1e-4
    assert found["policy/masked_share"] > 0.0, "the clip of ratios must bind"
    norms = [found["train/gradient_norm"], found["critic/gradient_norm"]]
    assert norms == pytest.approx(seen[-1][1], rel=1e-3)
    assert all(norm > clip for norm, clip in zip(norms, clips, strict=True)), "both clips must bind"
    policy, value = ((seen[0][0][i] + seen[1][0][i]) / 2 for i in range(2))
    assert found["train/loss/policy"] == pytest.approx(policy, rel=1e-4)
    assert found["train/loss/value"] == found["critic/loss"] == pytest.approx(value, rel=1e-4)
    assert found["train/loss"] == pytest.approx(policy + value, rel=1e-4)
    values, returns = (torch.cat([step[i] for step in seen]) for i in (2, 3))
    assert found["critic/value"] == pytest.approx(values.mean().item(), abs=1e-4)
    assert found["critic/return"] == pytest.approx(returns.mean().item(), abs=1e-4)
    explained = 1.0 - (returns - values).var() / returns.var()
    assert found["critic/explained_variance"] == pytest.approx(explained.item(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_both_optimizers_can_be_kept_in_cpu_memory(make_actor_critic, critic, stage):
    kept, offloaded = make_actor_critic(critic, stage), make_actor_critic(critic, stage, offload=True)
    start = both_weights(kept)
    learn(kept, ppo()), learn(offloaded, ppo())
    for found, expected, before in zip(both_weights(offloaded), both_weights(kept), start, strict=True):
        assert float((found - expected).norm() / (expected - before).norm()) < 1e-4


@pytest.mark.parametrize("stage", STAGES)
def test_neither_loss_reaches_the_other_model(make_actor_critic, critic, stage):
    bonus = EntropyBonus(0.1, Rollouts(), TokenMean())
    undecided = dataclasses.replace(ppo(), terms=(*ppo().terms, bonus))
    trained = []
    for algorithm in (ppo(), ppo(value_weight=0.0), ppo(weight=0.0), undecided):
        learner = make_actor_critic(critic, stage, updates=1)
        learn(learner, algorithm)
        trained.append(both_weights(learner))
    assert [all_equal(found, trained[0]) for found in trained] == [
        [True, True],
        [True, False],
        [False, True],
        [False, True],
    ]


# Advantages are made in float64 and whitened: values of 1e25 overflow in the critic's own loss alone.
@pytest.mark.parametrize(
    ("bias", "message"), [(torch.nan, "the loss is nan"), (1e25, "the critic's loss is")]
)
def test_values_beyond_numbers_stop_the_update_with_their_rows(make_actor_critic, bias, message):
    learner = make_actor_critic(CRITIC)
    with torch.no_grad():
        models(learner)[1].module.model.score.bias.fill_(bias)
    with pytest.raises(NotFiniteError, match=message) as caught:
        learn(learner, ppo())
    first = torch.tensor(bias).expand(len(caught.value.batch["rows"]))
    assert torch.equal(caught.value.batch["value"][:, 0].nan_to_num(), first.nan_to_num())
    assert not caught.value.batch["logp"].isnan().any()


def test_a_gradient_of_the_critic_that_is_not_finite_stops_the_update(make_actor_critic, critic):
    learner = make_actor_critic(critic)
    engine = models(learner)[1]
    backward = engine.backward
    engine.backward = lambda value, last: backward(value * float("inf"), last=last)
    with pytest.raises(NotFiniteError, match="the critic's gradient's norm is"):
        learn(learner, ppo())
