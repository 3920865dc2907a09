"""What runs spend, and when a budget ends them."""

import dataclasses
import json
import math

import pytest

from tests.training.runs import ALGORITHMS, even_length, metrics, questions, train, train_config
from training.budget import Budget, Spent
from training.engine import Engine
from training.learner import Learner
from training.loop import Trainer, TrainJob
from training.policy import ScoringPolicy, load_model, load_tokenizer
from training.run_dir import RunDirectory
from training.transformers_rollout import TransformersSampler

NAMES = [field.name for field in dataclasses.fields(Budget)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", [0, -1, math.nan, math.inf])
def test_a_limit_that_is_none_is_refused_by_its_name(name, limit):
    with pytest.raises(ValueError, match=rf"train.budget.{name}={limit} must be None or a finite number"):
        Budget(**{name: limit})


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_is_reached_by_its_own_amount_alone(name):
    budget = Budget(**{name: 10})
    assert budget.limits == {name: 10}
    assert not Spent(**{name: 9}).reaches(budget)
    assert Spent(**{name: 10}).reaches(budget)
    assert Spent(**{name: 11}).reaches(budget)
    assert not Spent(**{other: 99 for other in NAMES if other != name}).reaches(budget)


def test_without_limits_nothing_is_ever_reached():
    assert Budget().limits == {}
    assert not Spent(10**12, 10**12, 1e30, 1e12).reaches(Budget())


def test_steps_add_up_and_the_clock_is_among_the_times():
    spent = Spent(1, 2, 3.0, 4.0)
    spent.add(Spent(10, 20, 30.0, 40.0))
    assert spent == Spent(11, 22, 33.0, 44.0)
    assert spent.metrics() == {
        "spent/generated_tokens": 11,
        "spent/demonstration_tokens": 22,
        "spent/flops": 33.0,
        "time/total": 44.0,
    }


def test_what_is_spent_is_the_sum_of_what_steps_report(policy_path, tmp_path):
    train(tmp_path, policy_path, "hpt")
    generated = given = 0
    for step in metrics(tmp_path):
        generated += step["rollout/tokens"]
        given += step["data/offline_token_share"] * step["data/tokens"]
        assert step["spent/generated_tokens"] == generated
        assert step["spent/demonstration_tokens"] == pytest.approx(given)
    assert generated > given > 0


def budgeted(steps=20, **limits):
    return train_config(steps, budget=Budget(**limits))


@pytest.mark.parametrize(
    ("algorithm", "name"), [("grpo", "generated_tokens"), ("sft", "demonstration_tokens")]
)
def test_the_step_that_reaches_a_limit_is_the_last_and_is_kept(policy_path, tmp_path, algorithm, name):
    train(tmp_path / "free", policy_path, algorithm, train_config(6))
    totals = [step[f"spent/{name}"] for step in metrics(tmp_path / "free")]
    # Five steps: a checkpoint is taken though 2, which checkpoint_every is, does not divide it.
    train(tmp_path / "exact", policy_path, algorithm, budgeted(**{name: totals[4]}))
    train(tmp_path / "below", policy_path, algorithm, budgeted(**{name: totals[4] - 1}))
    train(tmp_path / "above", policy_path, algorithm, budgeted(**{name: totals[4] + 1}))
    counts = {path: len(metrics(tmp_path / path)) for path in ("exact", "below", "above")}
    assert counts == {"exact": 5, "below": 5, "above": 6}
    assert (tmp_path / "exact" / "checkpoints" / "step-000005").is_dir()


def test_a_run_whose_budget_is_spent_does_nothing_when_it_is_started_again(policy_path, tmp_path):
    config = budgeted(generated_tokens=1)
    for _ in range(2):
        train(tmp_path, policy_path, "grpo", config)
    assert len(metrics(tmp_path)) == 1


def test_a_resumed_run_goes_on_spending_where_it_was(policy_path, tmp_path):
    whole = metrics_of(tmp_path / "whole", policy_path, 4)
    metrics_of(tmp_path / "parts", policy_path, 2)
    assert metrics_of(tmp_path / "parts", policy_path, 4) == whole


def metrics_of(path, policy_path, steps):
    train(path, policy_path, "hpt", train_config(steps))
    return [{k: v for k, v in step.items() if k.startswith("spent/")} for step in metrics(path)]


def job_of(policy_path, config, **values):
    tokenizer = load_tokenizer(policy_path)
    return TrainJob(questions(tokenizer), ALGORITHMS["grpo"], even_length, config, 0, **values)


def test_a_budget_of_flops_needs_somebody_who_counts(policy_path):
    with pytest.raises(ValueError, match=r"train.budget.flops needs somebody who counts"):
        job_of(policy_path, budgeted(flops=1e9))


def test_counted_flops_end_a_run(policy_path, tmp_path):
    config, seen = budgeted(flops=25.0), []

    def count(algorithm, batch, uses):
        seen.append((algorithm.name, len(batch.rollouts), len(uses)))
        return 10.0

    model = load_model(policy_path, "fp32")
    engine = Engine(ScoringPolicy(model), config.engine, config.optimizer)
    directory = RunDirectory(tmp_path)
    directory.write_config({}, {})
    job = job_of(policy_path, config, flops=count)
    tokenizer = load_tokenizer(policy_path)
    sampler = TransformersSampler(model, tokenizer, engine.ranks)
    try:
        assert Trainer(job, Learner(engine, config), sampler, tokenizer, directory).run() == 3
    finally:
        engine.close()
    assert [step["spent/flops"] for step in metrics(tmp_path)] == [10.0, 20.0, 30.0]
    assert seen == [("grpo", 16, 16)] * 3
    assert json.loads((tmp_path / "checkpoints/step-000003/state.json").read_text())["spent"]["flops"] == 30.0
