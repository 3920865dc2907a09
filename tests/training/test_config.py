"""Every bad setting is refused, naming field and value."""

import dataclasses
import math
import re

import pytest

from training.config import EngineConfig, OptimizerConfig, RolloutConfig, TrainConfig
from training.critic_config import CriticConfig

BAD = [
    (EngineConfig, "engine", "zero_stage", [-1, 4]),
    (EngineConfig, "engine", "precision", ["fp16", "float32"]),
    (EngineConfig, "engine", "micro_batch_tokens", [0, -5]),
    (EngineConfig, "engine", "gradient_clip", [0.0, -1.0, math.nan, math.inf]),
    (EngineConfig, "engine", "skip_norm_above", [0.0, -1.0, math.nan]),
    (OptimizerConfig, "optimizer", "learning_rate", [-1e-6, math.nan, math.inf]),
    (OptimizerConfig, "optimizer", "epsilon", [-1e-8]),
    (OptimizerConfig, "optimizer", "weight_decay", [-0.1]),
    (OptimizerConfig, "optimizer", "warmup_steps", [-1, -2]),
    (OptimizerConfig, "optimizer", "betas", [(0.9, 1.0), (-0.1, 0.9)]),
    (CriticConfig, "critic", "learning_rate", [-1e-6, math.nan, math.inf]),
    (CriticConfig, "critic", "gradient_clip", [0.0, -1.0, math.nan, math.inf]),
    (CriticConfig, "critic", "warmup_steps", [-1, math.inf]),
    (RolloutConfig, "rollout", "backend", ["vlm"]),
    (RolloutConfig, "rollout", "samples", [0]),
    (RolloutConfig, "rollout", "temperature", [0.0, -1.0, math.nan, math.inf]),
    (RolloutConfig, "rollout", "max_prompt_tokens", [0]),
    (RolloutConfig, "rollout", "max_response_tokens", [0]),
    (RolloutConfig, "rollout", "batch_size", [0]),
    (TrainConfig, "train", "steps", [0, -1]),
    (TrainConfig, "train", "questions_per_step", [0, 127]),
    (TrainConfig, "train", "updates_per_step", [0, 3]),
    (TrainConfig, "train", "checkpoint_every", [0]),
    (TrainConfig, "train", "keep_checkpoints", [0]),
    (TrainConfig, "train", "prompt_template", ["llama", ""]),
]
CASES = [(kind, prefix, name, value) for kind, prefix, name, values in BAD for value in values]


@pytest.mark.parametrize(("kind", "prefix", "name", "value"), CASES)
def test_a_bad_value_is_refused_by_name(kind, prefix, name, value):
    with pytest.raises(ValueError, match=re.escape(f"{prefix}.{name}={value!r}")):
        kind(**{name: value})


def test_the_defaults_are_accepted_and_cannot_be_changed():
    config = TrainConfig()
    for part in (config, config.engine, config.optimizer, config.rollout, config.critic):
        field = dataclasses.fields(part)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field, 1)


def test_a_clip_and_a_skip_can_be_switched_off():
    assert EngineConfig(gradient_clip=None, skip_norm_above=None).gradient_clip is None


def test_a_learning_rate_of_zero_is_allowed():
    assert OptimizerConfig(learning_rate=0.0).learning_rate == 0.0
