"""Engines that are saved and loaded at every ZeRO stage: `python -m tests.training.resumed POLICY FOLDER`.

On any number of ranks. Prints a line of JSON for each configuration: whether the engine that was loaded went
on, bit for bit, as the one that was saved. The checkpoints stay in the folder.
"""

import itertools
import json
import sys
from pathlib import Path

import torch

from tests.training.rows import ragged_rows
from training.config import EngineConfig, OptimizerConfig
from training.engine import Engine
from training.policy import ScoringPolicy, load_model
from training.responses import collate

ROWS = ragged_rows()
TOKENS = sum(len(row.tokens) for row in ROWS)
# In the third step the powers of β that CPU Adam multiplies up are no longer those computed at once.
BEFORE, AFTER = 2, 4
CONFIGS = [
    {"zero_stage": stage, "offload": offload, "precision": precision}
    for stage, offload, precision in itertools.product(range(4), (False, True), ("fp32", "bf16"))
    if stage or not (offload or precision == "bf16")
]


def label(config):
    return "-".join(map(str, config.values()))


def make(policy, **config):
    settings = EngineConfig(**config)
    model = load_model(policy, settings.precision)
    return Engine(ScoringPolicy(model), settings, OptimizerConfig(learning_rate=1e-3))


def train(engine, steps):
    """Take steps on the mean log-prob of all rows, in two micro-batches, the rows divided among ranks."""
    ranks = engine.ranks
    for _ in range(steps):
        for part in range(2):
            inputs = collate(ROWS[part::2][ranks.rank :: ranks.size], engine.device)
            logp = engine.score(inputs).logp
            engine.backward(-torch.where(inputs.response_mask, logp, 0.0).sum() / TOKENS, last=part == 1)
        engine.step(1e-3)


def masters(engine):
    """Return all fp32 weights in one vector."""
    return torch.cat([weight.flatten().clone() for _, weight in engine.master_weights()])


def forwards(engine):
    """Return all weights that forward uses in one vector."""
    return torch.cat([weight.flatten().clone() for _, weight in engine.weights()])


def go_on_bitwise(policy, folder, config):
    saved = make(policy, **config)
    train(saved, BEFORE)
    saved.save(folder / label(config))
    saved.ranks.wait()
    train(saved, AFTER)
    loaded = make(policy, **config)
    loaded.load(folder / label(config))
    train(loaded, AFTER)
    equal = [torch.equal(read(saved), read(loaded)) for read in (masters, forwards)]
    if saved.ranks.first:
        sys.stdout.write(json.dumps({"config": label(config), "equal": all(equal)}) + "\n")
    for engine in (saved, loaded):
        engine.close()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in CONFIGS:
        go_on_bitwise(sys.argv[1], Path(sys.argv[2]), chosen)
