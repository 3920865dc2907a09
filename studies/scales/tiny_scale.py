"""The embedded scales: policies of 0.13 M parameters that add and subtract, on a laptop."""

import dataclasses

from evaluation.config import EvalConfig
from studies.scales import SUMS, Scale
from training.config import EngineConfig, OptimizerConfig, RolloutConfig, TrainConfig

RESPONSE_TOKENS = 52
QUESTIONS = 16
VOCABULARY = 20

TINY = Scale(
    name="tiny",
    policy="studies/scales/tiny/base_policy",
    train_data="studies/scales/tiny/train.parquet",
    suite_data="studies/scales/tiny/eval",
    train=TrainConfig(
        steps=80,
        questions_per_step=QUESTIONS,
        updates_per_step=1,
        checkpoint_every=20,
        engine=EngineConfig(micro_batch_tokens=8192),
        optimizer=OptimizerConfig(learning_rate=3e-4),
        rollout=RolloutConfig(
            samples=8, temperature=1.0, max_prompt_tokens=16, max_response_tokens=RESPONSE_TOKENS
        ),
    ),
    evaluation=EvalConfig(
        suites=("tiny_add2", "tiny_add3", "tiny_add4", "tiny_add5", "tiny_subtract2", "tiny_subtract3"),
        samples=4,
        temperature=1.0,
        top_p=1.0,
        max_response_tokens=RESPONSE_TOKENS,
        batch_size=256,
    ),
    algorithm_arguments={
        **{key: {"length": RESPONSE_TOKENS, "entropy_weight": 0.001} for key in SUMS},
        **{key: {"length": RESPONSE_TOKENS} for key in ("dr_grpo", "prefix_rft")},
        "rl_plus": {"vocabulary": VOCABULARY},
        "relift": {"questions": QUESTIONS},
    },
    threads=1,
)

TINY_LLAMA = dataclasses.replace(TINY, name="tiny-llama", policy="studies/scales/tiny/llama_policy")
"""The same world for a policy of another architecture, pretrained in the same way."""
