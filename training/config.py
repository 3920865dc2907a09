"""Settings of a training run that are no part of the algorithm."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from core.prompts import PROMPT_TEMPLATES
from training.budget import Budget
from training.critic_config import CriticConfig
from training.limits import check_limit
from training.vllm_config import VllmConfig, check_temperature

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class EngineConfig:
    """How DeepSpeed holds the model and takes a step.

    Args:
        zero_stage: ZeRO stage, 0 to 3.
        offload: Keep optimizer states (and at stage 3 parameters) in CPU memory.
        precision: Type of parameters in forward and backward. The optimizer's weights and the sums over ranks
            are fp32 in any case; the sum over micro-batches is, too, unless this is "bf16" at stage 1.
        gradient_checkpointing: Recompute activations in backward.
        micro_batch_tokens: Most tokens, prompts and padding included, that one micro-batch may hold.
        gradient_clip: Largest global norm of a step's gradient; larger ones are scaled down. None: no clip.
        skip_norm_above: A step whose norm before clipping is larger is not applied but counted. A norm that
            is not finite ends the run, with or without this.
    """

    zero_stage: Literal[0, 1, 2, 3] = 0
    offload: bool = False
    precision: Precision = "fp32"
    gradient_checkpointing: bool = False
    micro_batch_tokens: int = 32_768
    gradient_clip: float | None = 1.0
    skip_norm_above: float | None = None

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        if self.zero_stage not in (0, 1, 2, 3):
            raise ValueError(f"engine.zero_stage={self.zero_stage} must be 0, 1, 2 or 3")
        if self.offload and self.zero_stage == 0:
            raise ValueError("engine.offload=True needs engine.zero_stage of 1, 2 or 3")
        if self.precision == "bf16" and self.zero_stage == 0:
            raise ValueError(
                "engine.precision='bf16' at zero_stage 0 keeps no fp32 master weights, so small updates are "
                "lost; use zero_stage 1, 2 or 3"
            )
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"engine.precision={self.precision!r} must be 'fp32' or 'bf16'")
        if self.micro_batch_tokens < 1:
            raise ValueError(f"engine.micro_batch_tokens={self.micro_batch_tokens} must be at least 1")
        check_limit("engine.gradient_clip", self.gradient_clip)
        check_limit("engine.skip_norm_above", self.skip_norm_above)


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW and its schedule: linear warm-up, then constant."""

    learning_rate: float = 5e-6
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    warmup_steps: int = 0

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon", "weight_decay", "warmup_steps"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"optimizer.{name}={getattr(self, name)} must be finite and not negative")
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"optimizer.betas={self.betas} must be in [0, 1)")


@dataclass(frozen=True)
class RolloutConfig:
    """How responses are sampled for training.

    Args:
        backend: What samples, in this process: transformers' generate, or vLLM's engine.
        samples: Responses to each question of a step.
        temperature: Logits are divided by this, in sampling and in every log-prob of the trainer.
        max_prompt_tokens: Longer prompts are left out of the training set, and counted.
        max_response_tokens: A response ends here at the latest.
        batch_size: Most responses sampled at once.
        vllm: vLLM's engine, where it samples.
    """

    backend: Literal["transformers", "vllm"] = "transformers"
    samples: int = 8
    temperature: float = 1.0
    max_prompt_tokens: int = 1024
    max_response_tokens: int = 8192
    batch_size: int = 128
    vllm: VllmConfig = field(default_factory=VllmConfig)

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        if self.backend not in ("transformers", "vllm"):
            raise ValueError(f"rollout.backend={self.backend!r} must be 'transformers' or 'vllm'")
        for name in ("samples", "max_prompt_tokens", "max_response_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"rollout.{name}={getattr(self, name)} must be at least 1")
        if not 0.0 < self.temperature < math.inf:
            raise ValueError(f"rollout.temperature={self.temperature} must be a finite number above 0")
        if self.backend == "vllm":
            check_temperature("rollout.temperature", self.temperature)


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Args:
        steps: Most rollout batches of the run, and what schedules and stages are shares of; an algorithm's
            side steps count as steps, too.
        questions_per_step: Questions asked in each; a side step has a number of its own.
        updates_per_step: Optimizer steps made of each rollout batch, on disjoint questions.
        checkpoint_every: Steps between checkpoints; the last step always makes one.
        keep_checkpoints: How many of the newest checkpoints stay on disk.
        prompt_template: None: the tokenizer's chat template; else the name of one in core/prompts.py.
        questions: Train on this many questions of the file only, as many of each level (`extra_info.level`,
            or else `data_source`) as of any other; None: on all.
        record_questions: Of each step, the responses to so many questions are kept in rollouts.jsonl.
        engine: DeepSpeed.
        optimizer: AdamW.
        rollout: Sampling.
        critic: The critic, of algorithms that have one.
        budget: What may end the run before its last step.
    """

    steps: int = 500
    questions_per_step: int = 128
    updates_per_step: int = 2
    checkpoint_every: int = 50
    keep_checkpoints: int = 2
    prompt_template: str | None = None
    questions: int | None = None
    record_questions: int = 1
    engine: EngineConfig = field(default_factory=EngineConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    budget: Budget = field(default_factory=Budget)

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name in (
            "steps",
            "questions_per_step",
            "updates_per_step",
            "checkpoint_every",
            "keep_checkpoints",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name}={getattr(self, name)} must be at least 1")
        if self.record_questions < 0:
            raise ValueError(f"train.record_questions={self.record_questions} must not be negative")
        if self.questions is not None and self.questions < self.questions_per_step:
            raise ValueError(
                f"train.questions={self.questions} must be at least train.questions_per_step="
                f"{self.questions_per_step}"
            )
        if self.prompt_template is not None and self.prompt_template not in PROMPT_TEMPLATES:
            raise ValueError(
                f"train.prompt_template={self.prompt_template!r} is none of {sorted(PROMPT_TEMPLATES)}"
            )
        if self.questions_per_step % self.updates_per_step:
            raise ValueError(
                f"train.questions_per_step={self.questions_per_step} must be a multiple of "
                f"train.updates_per_step={self.updates_per_step}: every update takes whole questions"
            )
