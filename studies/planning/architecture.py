"""The sizes of a language model, counted on the model itself without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from studies.catalog import PROJECT, UsageError
from studies.configuring.inputs import check_model, is_local
from training.model_config import load_config

SHIPPED = PROJECT / "studies" / "scales" / "architectures"
"""Published config.json files by hub name, with "--" for the slash: enough to count where there is no hub."""


@dataclass(frozen=True)
class Architecture:
    """A decoder's sizes; all counts are of elements.

    Args:
        parameters: All weights, a tied head once.
        body: Those that every token is multiplied with; embeddings and the head are not among them.
        head: Vocabulary × hidden: what every scored position is multiplied with.
        largest: The largest single weight.
        layers: Decoder layers.
        hidden: Width of the residual stream.
        attention: Query heads × their size.
        heads: Query heads.
        cache: Key-value heads × their size.
        intermediate: Width of the MLP.
        vocabulary: Embeddings.
        source: Where the configuration was read.
    """

    parameters: int
    body: int
    head: int
    largest: int
    layers: int
    hidden: int
    attention: int
    heads: int
    cache: int
    intermediate: int
    vocabulary: int
    source: str


def read_architecture(policy: str, overrides: Mapping[str, Any]) -> Architecture:
    """Return a policy's sizes, from its folder, the hub, or the configurations that come with the project.

    Raises:
        UsageError: There is no configuration, or the model is of a kind that cannot be counted.
    """
    path, source = _locate(policy)
    try:
        return _count(load_config(path, overrides), source)
    except (ValueError, AttributeError, OSError) as error:
        raise UsageError(f"policy={policy}: its size cannot be computed: {error}") from error


def _locate(policy: str) -> tuple[str, str]:
    """Return what to load a configuration from, and how to call it."""
    try:
        check_model("policy", policy, {})
    except ValueError as error:
        shipped = SHIPPED / f"{policy.replace('/', '--')}.json"
        if shipped.is_file():
            return str(shipped), f"published sizes of {policy}, from {shipped.relative_to(PROJECT)}"
        raise UsageError(str(error)) from error
    if is_local(policy):
        return str(PROJECT / policy), f"config.json in {Path(PROJECT / policy)}"
    return policy, f"config.json of {policy} on the hub, or its cached copy"


def _count(config: Any, source: str) -> Architecture:  # noqa: ANN401
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings().weight
    linear = [each.weight for each in model.modules() if isinstance(each, nn.Linear)]
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Architecture(
        parameters=sum(each.numel() for each in model.parameters()),
        body=sum(each.numel() for each in linear if each is not head),
        head=head.numel(),
        largest=max(each.numel() for each in model.parameters()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        attention=config.num_attention_heads * size,
        heads=config.num_attention_heads,
        cache=config.num_key_value_heads * size,
        intermediate=config.intermediate_size,
        vocabulary=config.vocab_size,
        source=source,
    )
