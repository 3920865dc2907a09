"""What learners do on several ranks: `python -m tests.training.learnt_ranks POLICY FOLDER`.

On any number of ranks. Takes a batch of ragged rows at every ZeRO stage with algorithms that need everything:
a critic, a reference policy, behavior log-probs of a second update, entropies. Writes weights and metrics.
"""

import json
import sys
from pathlib import Path

import torch

from algorithms import hpt
from algorithms.dapo import dapo
from core import Algorithm, KlPenalty, Rollouts, TokenMean
from tests.training.actor_critic import ppo
from tests.training.rows import make_row, ragged_rows
from tests.training.runs import weights
from training.config import EngineConfig, OptimizerConfig, TrainConfig
from training.critic import load_critic
from training.critic_config import CriticConfig
from training.engine import Engine
from training.learner import Learner
from training.policy import ScoringPolicy, load_model, load_reference

OPTIMIZER = OptimizerConfig(learning_rate=1e-3)
ALGORITHMS = {
    "ppo_with_kl": Algorithm("ppo_with_kl", (*ppo().terms, KlPenalty(0.1, Rollouts(), TokenMean()))),
    "hpt": hpt(gate=0.5, entropy_weight=0.01, length=12),
    "dapo": dapo(),
    # One long row beside short ones: ranks have different numbers of micro-batches.
    "ppo_uneven": ppo(),
}


def uneven_rows():
    return [*(make_row(index % 2, 4, 10, float(index % 3 == 0)) for index in range(5)), make_row(0, 4, 60)]


def learn(policy, name, stage):
    """Return metrics and weights after two batches of two updates each."""
    engine = EngineConfig(zero_stage=stage, micro_batch_tokens=64, gradient_clip=0.05)
    critic_config = CriticConfig(learning_rate=3e-3)
    rows, updates = (uneven_rows(), 1) if name == "ppo_uneven" else (ragged_rows(), 2)
    config = TrainConfig(
        questions_per_step=4,
        updates_per_step=updates,
        engine=engine,
        optimizer=OPTIMIZER,
        critic=critic_config,
    )
    trained = Engine(ScoringPolicy(load_model(policy, "fp32")), engine, OPTIMIZER)
    critic = load_critic(policy, config)
    learner = Learner(trained, config, critic=critic, reference=load_reference(policy, "fp32", 1.0))
    seen = []
    for batch in range(2):
        learned = learner.learn(ALGORITHMS[name], rows, learning_rate=1e-3, progress=batch / 2, memory={})
        seen.append(learned.metrics())
    found = torch.cat([weights(trained), weights(critic)])
    for each in (trained, critic):
        each.close()
    return seen, found, trained.ranks


if __name__ == "__main__":
    torch.set_num_threads(1)
    for algorithm in ALGORITHMS:
        for zero_stage in range(4):
            metrics, vector, ranks = learn(sys.argv[1], algorithm, zero_stage)
            target = Path(sys.argv[2]) / f"{algorithm}-{zero_stage}-{ranks.rank}"
            torch.save(vector, target.with_suffix(".pt"))
            target.with_suffix(".json").write_text(json.dumps(metrics))
