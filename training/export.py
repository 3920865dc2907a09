"""A trained policy as an ordinary Hugging Face model directory, which transformers, vLLM and lm-eval load."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from training.model_config import load_config
from training.policy import load_tokenizer, parameter_type
from training.state_files import weights


def export_policy(
    checkpoint: Path, policy: str, overrides: Mapping[str, Any], precision: str, target: Path
) -> None:
    """Write the policy of a checkpoint as safetensors, with configuration and tokenizer.

    Args:
        checkpoint: One of a run's checkpoints.
        policy: Directory or hub name of the policy that the run started from.
        overrides: Entries of its configuration that the run changed; the written one holds them.
        precision: Type of the written weights, "fp32" or "bf16".
        target: A directory that is made, whole or not at all.

    Raises:
        FileExistsError: The target is there already.
        FileNotFoundError: The checkpoint holds no weights.
        ValueError: The checkpoint's weights are not those of the policy.
    """
    from transformers import AutoModelForCausalLM

    if target.exists():
        raise FileExistsError(f"{target} is there already; name a folder that is not")
    dtype = parameter_type(precision)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(load_config(policy, overrides), dtype=dtype)
    found = {name: tensor.to(dtype) for name, tensor in weights(checkpoint / "engine")}
    wanted = {name for name, _ in model.named_parameters()}
    if found.keys() != wanted:
        raise ValueError(
            f"the weights of {checkpoint} are not those of {policy!r}: only one of them has "
            f"{sorted(wanted ^ found.keys())[:3]}"
        )
    model.load_state_dict(found, strict=False, assign=True)
    model.tie_weights()
    _keep_generation_settings(model, policy)
    aside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(aside)
    load_tokenizer(policy).save_pretrained(aside)
    aside.rename(target)


def _keep_generation_settings(model: Any, policy: str) -> None:  # noqa: ANN401
    """Give the model the generation settings of the policy that it comes from, if that has some."""
    from transformers import GenerationConfig

    try:
        model.generation_config = GenerationConfig.from_pretrained(policy)
    except OSError:
        return
