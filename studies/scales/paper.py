"""The scales of Lv et al., 2025 (https://arxiv.org/abs/2509.04419): its models, data and released settings.

The gate and the weight of imitation are the released code's for each model. Differs from the paper: all
suites get 32 samples a question, where the paper takes 32 for AIME and AMC and 1 elsewhere.
"""

from collections.abc import Mapping
from typing import Any

from evaluation.config import EvalConfig
from studies.scales import SUMS, Scale
from training.config import EngineConfig, OptimizerConfig, RolloutConfig, TrainConfig

RESPONSE_TOKENS = 8192
# The released policy loss is a sum over RESPONSE_TOKENS on each rank, and gradients are averaged over ranks.
RANKS = 8
ENTROPY_WEIGHT = 0.001

EVALUATION = EvalConfig(
    suites=(
        "aime24",
        "aime25",
        "amc",
        "math500",
        "minerva",
        "olympiadbench",
        "arc_challenge",
        "gpqa_diamond",
    ),
    samples=32,
    temperature=0.6,
    top_p=0.95,
    max_response_tokens=RESPONSE_TOKENS,
)


def _train(*, skip_norm_above: float | None = None, prompt_template: str | None = None) -> TrainConfig:
    return TrainConfig(
        steps=500,
        questions_per_step=128,
        updates_per_step=2,
        prompt_template=prompt_template,
        engine=EngineConfig(
            zero_stage=3,
            precision="bf16",
            gradient_checkpointing=True,
            micro_batch_tokens=32_768,
            gradient_clip=1.0,
            skip_norm_above=skip_norm_above,
        ),
        optimizer=OptimizerConfig(learning_rate=5e-6, betas=(0.9, 0.999), weight_decay=0.01),
        rollout=RolloutConfig(
            samples=8, temperature=1.0, max_prompt_tokens=1024, max_response_tokens=RESPONSE_TOKENS
        ),
    )


def _scale(name: str, policy: str, train: TrainConfig, hpt: Mapping[str, Any]) -> Scale:
    return Scale(
        name=name,
        policy=policy,
        train_data="Elliott/Openr1-Math-46k-8192",
        train=train,
        evaluation=EVALUATION,
        algorithm_arguments={
            **{key: {"entropy_weight": ENTROPY_WEIGHT, "length": RANKS * RESPONSE_TOKENS} for key in SUMS},
            "hpt": {"entropy_weight": ENTROPY_WEIGHT, "length": RANKS * RESPONSE_TOKENS, **hpt},
            **{key: {"length": RESPONSE_TOKENS} for key in ("dr_grpo", "prefix_rft")},
        },
    )


QWEN_MATH_1_5B = _scale(
    "qwen2.5-math-1.5b",
    "Qwen/Qwen2.5-Math-1.5B",
    _train(skip_norm_above=80.0),
    {"gate": 0.0, "sft_weight": 0.3},
)
QWEN_MATH_7B = _scale(
    "qwen2.5-math-7b",
    "Qwen/Qwen2.5-Math-7B",
    _train(skip_norm_above=80.0),
    {"gate": 0.0, "sft_weight": 1.0},
)
LLAMA_8B = _scale(
    "llama-3.1-8b",
    "meta-llama/Llama-3.1-8B",
    _train(prompt_template="question_answer"),
    {"gate": 2 / 8, "sft_weight": 1.0},
)
