"""The operations of a step: against closed forms, and against a count of what was really done."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from algorithms import grpo, ppo, sft
from algorithms.grpo_kl import grpo_kl
from studies.costs.planned import flops
from studies.planning.step_flops import StepFlops
from studies.planning.work import Lengths, backward_flops, forward_flops, sampling_flops, training_work
from tests.studies.planning.measuring import build_model
from training.answers import Rollout
from training.collect import Batch
from training.config import EngineConfig, OptimizerConfig, RolloutConfig, TrainConfig
from training.engine import Engine
from training.learner import Learner
from training.policy import ScoringPolicy
from training.responses import Response
from training.row_use import RowUse

PROMPT, RESPONSE = 32, 96
LENGTHS = Lengths(PROMPT, RESPONSE)


def train_config(updates=1, **engine):
    return TrainConfig(
        steps=1,
        questions_per_step=4,
        updates_per_step=updates,
        engine=EngineConfig(micro_batch_tokens=4 * (PROMPT + RESPONSE), **engine),
        optimizer=OptimizerConfig(),
        rollout=RolloutConfig(samples=2),
    )


def rollout(question, reward, **values):
    tokens = tuple(5 + (question + place) % 90 for place in range(RESPONSE))
    logp = (-0.5,) * RESPONSE
    given = {"is_demonstration": False, "reward": reward, "sampler_logp": logp}
    return Response(question, tuple(range(2, 2 + PROMPT)), tokens, **{**given, **values})


def batch_of(rows):
    sampled = [Rollout(row, "correct", False) for row in rows if not row.is_demonstration]
    return Batch(responses=list(rows), rollouts=sampled)


def all_trained(rows):
    return [RowUse(row, ("reinforce",), True) for row in rows]


def pairs():
    """Return two rollouts for each of four questions, one of them solved."""
    return [rollout(question, reward) for question in range(4) for reward in (1.0, 0.0)]


@pytest.mark.parametrize("updates", [1, 2, 4])
@pytest.mark.parametrize("algorithm", [sft(), grpo(), grpo_kl(), ppo()], ids=lambda algorithm: algorithm.name)
def test_a_step_of_equal_rows_takes_what_is_planned(counted, algorithm, updates):
    train = train_config(updates)
    rows = pairs()
    if algorithm.name == "sft":
        rows = [rollout(question, 1.0, is_demonstration=True, sampler_logp=()) for question in range(4)]
    found = StepFlops(counted(), train)(algorithm, batch_of(rows), all_trained(rows))
    assert found == pytest.approx(flops(training_work(counted(), train, algorithm, LENGTHS)), rel=1e-12)


def test_the_closed_form_by_hand(counted):
    model, row = counted(), rollout(0, 1.0)
    found = StepFlops(model, train_config())(grpo(), batch_of([row]), all_trained([row]))
    n, length = 2 * model.body, PROMPT + RESPONSE
    attention = 4 * model.layers * model.attention
    forward = n * length + attention * length**2 + 2 * model.head * RESPONSE
    sampling = RESPONSE * (n + 2 * model.head + attention * (PROMPT + RESPONSE / 2)) + n * PROMPT
    assert found == pytest.approx(3 * forward + sampling, rel=1e-12)


def test_rows_without_a_gradient_are_scored_but_not_trained(counted):
    model, rows = counted(), pairs()
    uses = [RowUse(row, (), False) for row in rows]
    count = StepFlops(model, train_config(2))
    sampled_alone = count(grpo(), batch_of(rows), [])
    # Of two updates the later one's rows are scored once more.
    assert count(grpo(), batch_of(rows), uses) - sampled_alone == pytest.approx(
        len(rows) / 2 * forward_flops(model, LENGTHS), rel=1e-9
    )
    trained = count(grpo(), batch_of(rows), all_trained(rows)) - count(grpo(), batch_of(rows), uses)
    assert trained == pytest.approx(len(rows) * backward_flops(model, LENGTHS, EngineConfig()), rel=1e-9)


def test_a_prompt_is_read_once_for_all_its_samples_and_what_is_given_is_not_sampled(counted):
    model, count = counted(), StepFlops(counted(), train_config())
    one, two = (count(grpo(), batch_of([rollout(0, 1.0)] * samples), []) for samples in (1, 2))
    assert two - one == pytest.approx(sampling_flops(model, LENGTHS), rel=1e-9)
    given = dataclasses.replace(rollout(0, 1.0), prefix_tokens=40)
    found = count(grpo(), batch_of([given]), [])
    expected = sampling_flops(model, Lengths(PROMPT + 40, RESPONSE - 40)) + 2 * model.body * (PROMPT + 40)
    assert found == pytest.approx(expected, rel=1e-12)


def test_greedy_baselines_are_sampled_too(counted):
    batch = batch_of([rollout(0, 1.0)])
    more = dataclasses.replace(batch, greedy=[Rollout(rollout(0, 0.0), "wrong", False)])
    count = StepFlops(counted(), train_config())
    added = count(grpo(), more, []) - count(grpo(), batch, [])
    assert added == pytest.approx(sampling_flops(counted(), LENGTHS), rel=1e-9)


def real_policy():
    model = build_model("fp32")
    model.set_attn_implementation("eager")  # of plain products, which are counted
    return model


@pytest.mark.parametrize(
    ("algorithm", "updates", "solved"),
    [(sft(), 1, 4), (grpo(), 1, 4), (grpo(), 2, 4), (grpo(), 2, 2), (grpo(), 2, 0)],
    ids=["sft", "grpo", "two updates", "two questions without a gradient", "nothing to learn"],
)
def test_training_takes_the_operations_that_are_counted(counted, algorithm, updates, solved):
    rows = [
        rollout(question, float(first and question < solved))
        for question in range(4)
        for first in (True, False)
    ]
    if algorithm.name == "sft":
        rows = [dataclasses.replace(row, is_demonstration=True, sampler_logp=()) for row in rows]
    train = train_config(updates)
    engine = Engine(ScoringPolicy(real_policy()), train.engine, train.optimizer)
    learner = Learner(engine, train)
    try:
        with FlopCounterMode(display=False) as counter:
            learned = learner.learn(algorithm, rows, learning_rate=1e-4, progress=0.0, memory={})
    finally:
        engine.close()
    told = StepFlops(counted(), train)(algorithm, Batch(responses=rows), learned.uses)
    assert counter.get_total_flops() == pytest.approx(told, rel=0.03)


def test_sampling_takes_the_operations_that_are_counted(counted):
    model, row = real_policy(), rollout(0, 1.0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = model(input_ids=torch.tensor([row.prompt]), use_cache=True, logits_to_keep=1)
        for token in row.tokens[:-1]:
            output = model(
                input_ids=torch.tensor([[token]]), past_key_values=output.past_key_values, use_cache=True
            )
    told = StepFlops(counted(), train_config())(grpo(), batch_of([row]), [])
    assert counter.get_total_flops() == pytest.approx(told, rel=0.03)
