"""The scales of Lv et al., 2025 (https://arxiv.org/abs/2509.04419): its models, data and released settings.

The gate and the weight of imitation are the released code's for each model.

Differs from the released code, which trains on 8 GPUs:
- Its schedule gives the whole first step a learning rate of 0, and it stops one step early: 499 batches, 498
  of which change the weights. Here all 500 steps have the learning rate of the configuration.
- It makes two optimizer steps of a batch only while more than 512 rows are left of 1024, and demonstrations
  end up in the second. Here both always have half of the questions each, their demonstrations with them.
- It trains LUFFY and SRFT at a learning rate of 1e-6. Here all arms have that of HPT, as the paper says.
- Its micro-batches hold 32,768 tokens without padding, and each has an average of its own. Here padding
  counts, and no average depends on micro-batches.
- It releases no script for PPO, SFT and GRPO; their settings are those of HPT here.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from evaluation.protocols import PROTOCOLS, SUITES
from studies.scales import SUMS, Scale
from training.config import EngineConfig, OptimizerConfig, RolloutConfig, TrainConfig
from training.vllm_config import VllmConfig

RESPONSE_TOKENS = 8192
# The released policy loss is a sum over RESPONSE_TOKENS on each rank, and gradients are averaged over ranks.
RANKS = 8
ENTROPY_WEIGHT = 0.001
# As much as training leaves of 80 GB at the largest of these models (`python -m studies.plan`).
SAMPLER_SHARE = 0.3
# Qwen2.5-Math knows 4096 positions, too few for these responses; the paper's authors stretch them like this.
LONGER = {"rope_theta": 40_000.0, "max_position_embeddings": 16_384}

EVALUATION = dataclasses.replace(PROTOCOLS["paper"], suites=SUITES["paper"])


def _train(*, skip_norm_above: float | None = None, prompt_template: str | None = None) -> TrainConfig:
    return TrainConfig(
        steps=500,
        questions_per_step=128,
        updates_per_step=2,
        checkpoint_every=50,
        prompt_template=prompt_template,
        engine=EngineConfig(
            zero_stage=3,
            precision="bf16",
            gradient_checkpointing=True,
            micro_batch_tokens=32_768,
            gradient_clip=1.0,
            skip_norm_above=skip_norm_above,
        ),
        optimizer=OptimizerConfig(learning_rate=5e-6, betas=(0.9, 0.999), epsilon=1e-8, weight_decay=0.01),
        rollout=RolloutConfig(
            backend="vllm",
            vllm=VllmConfig(gpu_memory_share=SAMPLER_SHARE),
            samples=8,
            temperature=1.0,
            max_prompt_tokens=1024,
            max_response_tokens=RESPONSE_TOKENS,
        ),
    )


def _scale(
    name: str,
    policy: str,
    train: TrainConfig,
    hpt: Mapping[str, Any],
    policy_config: Mapping[str, Any] | None = None,
) -> Scale:
    return Scale(
        name=name,
        policy=policy,
        policy_config=policy_config or {},
        ranks=RANKS,
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
    LONGER,
)
QWEN_MATH_7B = _scale(
    "qwen2.5-math-7b",
    "Qwen/Qwen2.5-Math-7B",
    _train(skip_norm_above=80.0),
    {"gate": 0.0, "sft_weight": 1.0},
    LONGER,
)
LLAMA_8B = _scale(
    "llama-3.1-8b",
    "meta-llama/Llama-3.1-8B",
    _train(prompt_template="question_answer"),
    {"gate": 2 / 8, "sft_weight": 1.0},
)
