"""The critic: a model of its own that says what reward is still to come."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from training.config import TrainConfig
from training.engine import Engine
from training.model_config import AS_PUBLISHED, load_config
from training.policy import parameter_type, place
from training.responses import ModelInputs


class CriticModel(nn.Module):
    """A token classifier with one label whose forward returns the value before each response token.

    Args:
        model: A Hugging Face token classification model.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.model = model

    def forward(self, inputs: ModelInputs) -> Tensor:
        """Return the value of all that stands before each response token, prompts included."""
        width = inputs.response_tokens.shape[1]
        values = self.model(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            position_ids=inputs.position_ids,
            use_cache=False,
        ).logits[:, -width - 1 : -1, 0]
        return values.to(torch.promote_types(values.dtype, torch.float32))  # type: ignore[no-any-return]


def load_critic_model(
    path: str,
    precision: str,
    *,
    overrides: Mapping[str, Any] = AS_PUBLISHED,
    gradient_checkpointing: bool = False,
) -> CriticModel:
    """Return a critic from a directory or the hub, on the GPU if there is one.

    A model without a value head is given one of zeros: all values start at 0, and the first advantages are
    those of the rewards alone.

    Args:
        path: A language model, or a critic: a token classifier with one label.
        precision: Type of its parameters, "fp32" or "bf16".
        overrides: Of the model's configuration, as `load_config` takes them.
        gradient_checkpointing: Recompute activations in backward.

    Raises:
        ValueError: The directory lacks weights of the body, or an override is refused.
    """
    from transformers import AutoModelForTokenClassification
    from transformers.utils import logging

    config = load_config(path, overrides)
    config.num_labels = 1
    verbosity = logging.get_verbosity()
    # It would warn of the missing head, and of nothing that is not checked below.
    logging.set_verbosity_error()
    try:
        model, loaded = AutoModelForTokenClassification.from_pretrained(
            path,
            config=config,
            dtype=parameter_type(precision),
            trust_remote_code=False,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
    _start_head(model, loaded["missing_keys"], path)
    return CriticModel(place(model, gradient_checkpointing=gradient_checkpointing))


def _start_head(model: Any, missing: set[str], path: str) -> None:  # noqa: ANN401
    """Fill a head that the directory does not hold with zeros."""
    body = sorted(name for name in missing if name.startswith(f"{model.base_model_prefix}."))
    if body:
        raise ValueError(
            f"the critic's model {path!r} lacks {body[0]} and {len(body) - 1} more weights of its body; "
            "name a complete model in train.critic.model, or None to start from the policy"
        )
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in missing:
            parameters[name].zero_()


def load_critic(
    policy: str, config: TrainConfig, overrides: Mapping[str, Any] = AS_PUBLISHED
) -> Engine[Tensor]:
    """Return the critic of a run, in an engine of its own.

    It has the policy's engine settings and optimizer, but for clip and learning rate; none of its steps is
    skipped.

    Args:
        policy: Directory or hub name of the policy, which the critic starts from unless the configuration
            names another model.
        config: The run's.
        overrides: Of the model's configuration, as the policy's.
    """
    critic = load_critic_model(
        config.critic.model or policy,
        config.engine.precision,
        overrides=overrides,
        gradient_checkpointing=config.engine.gradient_checkpointing,
    )
    engine = dataclasses.replace(
        config.engine, gradient_clip=config.critic.gradient_clip, skip_norm_above=None
    )
    optimizer = dataclasses.replace(config.optimizer, learning_rate=config.critic.learning_rate)
    return Engine(critic, engine, optimizer)
