"""A model's configuration as it is loaded: the published one, with entries of it changed."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

AS_PUBLISHED: Mapping[str, Any] = MappingProxyType({})
"""Overrides that change nothing."""

_NOT_OVERRIDDEN = frozenset({"architectures", "dtype", "transformers_version"})


def load_config(path: str, overrides: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return a model's configuration from a directory or the hub, with entries of it changed.

    Saved, it holds the changes. The published layout, with `rope_theta` beside the other entries, and that of
    transformers 5, within `rope_parameters`, are both read.

    Args:
        path: Directory or hub name.
        overrides: Values by the names of config.json's entries; `rope_theta` changes that of all layers.

    Raises:
        ValueError: The model's configuration has no such entry, or refuses the value.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    for key, value in _entries(config, overrides).items():
        try:
            setattr(config, key, value)
        except Exception as error:
            raise ValueError(f"policy_config: {key}={value!r} is refused by {path!r}: {error}") from error
    return config


def resolved_overrides(path: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides as attributes of transformers' configuration: what vLLM's `hf_overrides` takes."""
    config = load_config(path, overrides)
    return {key: getattr(config, key) for key in _entries(config, overrides)}


def _entries(config: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return the attributes that overrides change, with their new values."""
    names = {field.name for field in dataclasses.fields(config)} - _NOT_OVERRIDDEN
    # transformers keeps an unknown entry as an attribute that nothing reads: a misspelt one would be lost.
    known = names | ({"rope_theta"} if "rope_parameters" in names else set())
    found: dict[str, Any] = {}
    for key, value in overrides.items():
        if key not in known:
            close = " or ".join(difflib.get_close_matches(key, known, n=3)) or ", ".join(sorted(known))
            raise ValueError(
                f"policy_config: a {config.model_type} model has no entry {key!r} that can be changed; its "
                f"entries: {close}"
            )
        if key == "rope_theta":
            key, value = "rope_parameters", _with_theta(config, found.get("rope_parameters"), value)
        found[key] = value
    return found


def _with_theta(config: Any, parameters: Mapping[str, Any] | None, theta: object) -> dict[str, Any]:  # noqa: ANN401
    """Return rotary parameters with another base."""
    if isinstance(theta, bool) or not isinstance(theta, int | float) or not 0 < theta < math.inf:
        raise ValueError(f"policy_config: rope_theta={theta!r} must be a finite number above 0")
    parameters = dict(parameters or config.rope_parameters)
    if "rope_theta" not in parameters:
        raise ValueError(
            f"policy_config: a {config.model_type} model has a rope_theta for each kind of layer; change "
            f"'rope_parameters' as a whole, now {parameters}"
        )
    return parameters | {"rope_theta": float(theta)}


def check_loaded(path: str, loaded: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Raise ValueError where weights on disk and the configuration's do not belong together."""
    missing, left = sorted(loaded["missing_keys"]), sorted(loaded["unexpected_keys"])
    if missing:
        raise ValueError(f"the model {path!r} lacks {missing[0]} and {len(missing) - 1} more of its weights")
    if left and overrides:
        raise ValueError(
            f"with policy_config={dict(overrides)} the model {path!r} leaves out {left[0]} and "
            f"{len(left) - 1} more of its weights; change only entries that keep them"
        )
