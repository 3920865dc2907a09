"""Whole training runs on sums of two digits, small enough for tests.

`python -m tests.training.runs` trains one. Arguments: run directory, policy, algorithm, steps, and engine
settings as `zero_stage=2`. The run can be killed and started again, and be started on several ranks.
"""

import ast
import dataclasses
import json
import sys
from pathlib import Path

import torch

from algorithms import grpo, hpt, sft, sft_then_grpo
from algorithms.dapo import dapo
from algorithms.relift import relift
from algorithms.remax import remax
from algorithms.uft import uft
from core import (
    Algorithm,
    Curriculum,
    Demonstrations,
    DynamicSampling,
    HysteresisGate,
    Rollouts,
    SideStep,
    Stage,
    Term,
    TokenMean,
)
from training.answers import Verdict
from training.config import EngineConfig, OptimizerConfig, RolloutConfig, TrainConfig
from training.data import Question
from training.engine import Engine
from training.learner import Learner
from training.live_policy import TrainedPolicy
from training.loop import Trainer, TrainJob
from training.policy import ScoringPolicy, load_model, load_tokenizer
from training.ranks import join_ranks
from training.run_dir import RunDirectory
from training.tokens import encode
from training.transformers_rollout import TransformersSampler


def hysteresis():
    """Return GRPO or SFT for each question, by a gate that remembers."""
    gate = HysteresisGate(0.5, 0.75)
    reinforce, imitate = grpo().terms[0].estimator, sft().terms[0].estimator
    return Algorithm(
        "hysteresis",
        (
            Term("reinforce", reinforce, Rollouts(gate), TokenMean()),
            Term("imitate", imitate, Demonstrations(gate), TokenMean()),
        ),
    )


def everything():
    """Return an algorithm that remembers, has prefixes, greedy baselines, mixed groups and side steps."""
    baseline = dataclasses.replace(remax().terms[0], name="baseline")
    return Algorithm(
        "everything",
        (*hysteresis().terms, baseline),
        dataclasses.replace(uft().rollouts, dynamic=DynamicSampling(rounds=1)),
        SideStep(sft(), threshold=0.75, questions=5),
    )


ALGORITHMS = {
    "grpo": grpo(),
    "hpt": hpt(gate=0.25, entropy_weight=0.01, length=8),
    "sft": sft(),
    "sft_then_grpo": sft_then_grpo(sft_share=0.5),
    "dapo": dapo(rounds=2),
    "relift": relift(questions=5, gate=0.75),
    "remax": remax(),
    "uft": uft(),
    "hysteresis": hysteresis(),
    "everything": everything(),
    "two_stages": Curriculum(
        "two_stages", (Stage(relift(questions=3, gate=0.75), 0.5), Stage(everything(), 0.5))
    ),
}


def even_length(pairs):
    """Solve responses of an even number of characters: an untrained policy does so half of the time."""
    return [Verdict(float(len(text) % 2 == 0), "even" if len(text) % 2 == 0 else "odd") for text, _ in pairs]


def questions(tokenizer, count=10):
    made = []
    for index in range(count):
        prompt = encode(tokenizer, f"<user>{index}+{'1' * (index % 3 + 1)}=<assistant>")
        demonstration = encode(tokenizer, f"{index};\\boxed{{{index}}}<eos>")
        made.append(Question(index, tuple(prompt), tuple(demonstration), str(index)))
    return tuple(made)


def train_config(steps=4, **changes):
    """Return four questions and four samples a step, two updates, a checkpoint every second step."""
    settings = {
        "steps": steps,
        "questions_per_step": 4,
        "updates_per_step": 2,
        "checkpoint_every": 2,
        "engine": EngineConfig(micro_batch_tokens=120),
        "optimizer": OptimizerConfig(learning_rate=3e-3),
        "rollout": RolloutConfig(samples=4, max_response_tokens=8, batch_size=6),
    }
    return TrainConfig(**(settings | changes))


def train(path, policy, algorithm, config=None, seed=0, reward=even_length):
    """Train a run in `path`, from its newest checkpoint if it has one, and return the final weights."""
    config = config or train_config()
    tokenizer = load_tokenizer(policy)
    model = load_model(policy, config.engine.precision)
    engine = Engine(ScoringPolicy(model, config.rollout.temperature), config.engine, config.optimizer)
    directory = RunDirectory(Path(path), writes=engine.ranks.first)
    directory.write_config({}, {})
    job = TrainJob(questions(tokenizer), ALGORITHMS[algorithm], reward, config, seed)
    sampler = TransformersSampler(model, tokenizer, engine.ranks)
    if config.engine.zero_stage == 3 and engine.ranks.size > 1:
        sampler.model = load_model(policy, config.engine.precision)
        sampler.follow(TrainedPolicy(engine))
    try:
        Trainer(job, Learner(engine, config), sampler, tokenizer, directory).run()
        return weights(engine)
    finally:
        engine.close()


def weights(engine):
    """Return all weights of an engine's policy in one vector, at any ZeRO stage."""
    import deepspeed

    parameters = list(engine.module.parameters())
    with deepspeed.zero.GatheredParameters(parameters):
        return torch.cat([parameter.detach().float().flatten().clone() for parameter in parameters])


def metrics(path):
    """Return a run's metrics but for its times."""
    lines = (Path(path) / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line) for line in lines]
    return [{k: v for k, v in step.items() if not k.startswith("time/")} for step in steps]


if __name__ == "__main__":
    torch.set_num_threads(1)
    target, policy_path, name, count, *settings = sys.argv[1:]
    engine_settings = {key: ast.literal_eval(value) for key, value in (word.split("=") for word in settings)}
    chosen = EngineConfig(**{"micro_batch_tokens": 120, **engine_settings})
    trained = train(target, policy_path, name, train_config(int(count), engine=chosen))
    torch.save(trained, Path(target) / f"weights-{join_ranks().rank}.pt")
