"""Whether what a run reads is there: models and training data, on this machine or on the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from studies.catalog import PROJECT

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def is_local(source: str) -> bool:
    """Return whether a place means this machine's files; else it is a name on the hub."""
    path = Path(source)
    if path.is_absolute() or path.suffix == ".parquet" or not _HUB_NAME.fullmatch(source):
        return True
    return (PROJECT / path.parts[0]).exists()


def check_model(setting: str, source: str, overrides: Mapping[str, Any]) -> None:
    """Check that a model's configuration and weights are there, and that it takes the overrides.

    Args:
        setting: Its name, for messages.
        source: Folder, absolute or of the project, or a name on the hub.
        overrides: Of its configuration.

    Raises:
        ValueError: Something is missing or refused; the message says how to go on.
    """
    if is_local(source):
        _check_folder(setting, source)
    else:
        _check_hub(setting, source, "model")
    if overrides:
        from training.model_config import load_config

        load_config(str(PROJECT / source) if is_local(source) else source, overrides)


def check_tokenizer(source: str, template: str | None) -> None:
    """Check that a local policy has a tokenizer, and a chat template where prompts are made with it.

    Raises:
        ValueError: It has none; the message says how to go on.
    """
    if not is_local(source):
        return
    folder = PROJECT / source
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ValueError(f"policy={folder}: it has no tokenizer; add the model's tokenizer.json")
    described = folder / "tokenizer_config.json"
    held = json.loads(described.read_text()) if described.is_file() else {}
    files = ("chat_template.jinja", "chat_template.json")
    if template is None and not held.get("chat_template") and not any((folder / f).is_file() for f in files):
        from core.prompts import PROMPT_TEMPLATES

        raise ValueError(
            f"policy={folder}: its tokenizer has no chat template; --set train.prompt_template= to one of "
            f"{sorted(PROMPT_TEMPLATES)}"
        )


def check_train_data(source: str) -> None:
    """Check every row of the training data; what lies on the hub is downloaded for it.

    Raises:
        ValueError, OSError: A file is missing or has a bad row; the message says where.
    """
    from training.data import check_train_file

    if not is_local(source):
        _check_hub("train_data", source, "dataset")
        check_train_file(source)
    elif not (PROJECT / source).is_file():
        raise ValueError(
            f"train_data={PROJECT / source} does not exist; give a parquet file of the "
            "Openr1-Math-46k-8192 schema, or the name of such a data set on the hub"
        )
    elif not source.endswith(".parquet"):
        raise ValueError(f"train_data={PROJECT / source} is no .parquet file; convert it to one")
    else:
        check_train_file(str(PROJECT / source))


def _check_folder(setting: str, source: str) -> None:
    folder = PROJECT / source
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{setting}={folder}: no model lies there; its config.json is missing. Give a folder with "
            "config.json, safetensors files and a tokenizer, or a name on the hub"
        )
    index = folder / "model.safetensors.index.json"
    shards = json.loads(index.read_text()).get("weight_map", {}).values() if index.is_file() else ()
    missing = sorted({str(shard) for shard in shards if not (folder / str(shard)).is_file()})
    if missing or not any(folder.glob("*.safetensors")):
        named = missing[0] if missing else "model.safetensors"
        raise ValueError(f"{setting}={folder}: its weights are incomplete; {named} is missing, copy it there")


def _check_hub(setting: str, source: str, kind: Literal["model", "dataset"]) -> None:
    """Raise ValueError unless a name is in the hub's cache here, or can be read on the hub."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name

    if (Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=source, repo_type=kind)).is_dir():
        return
    file = "config.json" if kind == "model" else "README.md"
    try:
        get_hf_file_metadata(hf_hub_url(source, file, repo_type=kind), timeout=10)
    except Exception as error:
        there = "folder" if kind == "model" else "parquet file"
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ValueError(
            f"{setting}={source}: no {there} of that name is here, and on the hub it cannot be read "
            f"({type(error).__name__}: {reason}). Download it and --set {setting}=PATH of the {there}; for a "
            "gated model log in to the hub first"
        ) from error
