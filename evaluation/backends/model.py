"""What both backends share: where a model lies, how it is asked, and what its answers are."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.prompts import Tokenizer, render_prompt
from evaluation.policy import Generated

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.tiktoken")


class ModelError(ValueError):
    """A model cannot be had, loaded or asked."""


@dataclass(frozen=True)
class ModelConfig:
    """A model, and how it is loaded.

    Args:
        path: Folder of an ordinary Hugging Face model: config.json, safetensors files, a tokenizer.
        template: Name of a prompt template; None takes the tokenizer's chat template.
        dtype: Of its weights; "auto" takes that of its config.json.
        device: Where the `hf` backend puts it; None takes the GPU if there is one.
        gpus: GPUs that the `vllm` backend shares it out to.
        memory_share: Share of each GPU's memory for the `vllm` backend; on a CPU, of `cache_gib` instead.
        cache_gib: GiB for vLLM's keys and values on a CPU.
    """

    path: Path
    template: str | None = None
    dtype: Dtype = "auto"
    device: str | None = None
    gpus: int = 1
    memory_share: float = 0.9
    cache_gib: float = 4.0


def find_model(source: str) -> Path:
    """Return the folder of a model: a local one, or the snapshot of one on the hub, downloaded if need be.

    Raises:
        ModelError: There is no such model.
    """
    path = Path(source)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{path} holds no model: config.json is missing")
        return path.resolve()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=list(_FILES)))
    except Exception as error:
        raise ModelError(
            f"{source!r} is neither a folder nor a model that the Hugging Face hub gives "
            f"({type(error).__name__}: {error})"
        ) from error


def model_sha256(path: Path) -> str:
    """Return the digest of all that decides what a model answers: weights, configuration, tokenizer."""
    digest = hashlib.sha256()
    for file in sorted({found for pattern in _FILES for found in path.glob(pattern)}):
        with file.open("rb") as content:
            digest.update(f"{file.name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def render(tokenizer: Tokenizer, problem: str, template: str | None) -> str:
    """Return the prompt of a problem, made as in training: one user turn."""
    return render_prompt(tokenizer, [{"role": "user", "content": problem}], template)


def to_answer(tokenizer: Tokenizer, tokens: Sequence[int], ends: Collection[int]) -> Generated:
    """Return an answer from what was sampled; what follows its first end token is padding.

    The text keeps special tokens, as the training reward reads it, but for the end.
    """
    stop = next((index for index, token in enumerate(tokens) if token in ends), None)
    kept = tokens if stop is None else tokens[:stop]
    text = tokenizer.decode(list(kept), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return Generated(str(text), len(kept) + (stop is not None), truncated=stop is None)


def check_room(longest: int, wanted: int, room: int) -> None:
    """Raise ModelError where a prompt and the longest answer to it are more than a model's positions.

    lm-eval would cut the beginning of the prompt off.
    """
    if longest + wanted > room:
        raise ModelError(
            f"a prompt of {longest} tokens and an answer of up to {wanted} are more than the model's {room} "
            "positions; lower max_response_tokens, or change max_position_embeddings in its config.json"
        )


def end_tokens(tokenizer: Tokenizer, generation: Any) -> frozenset[int]:  # noqa: ANN401
    """Return the tokens that end an answer: the tokenizer's, and those of the model's generation config."""
    named = getattr(generation, "eos_token_id", None)
    listed = named if isinstance(named, list | tuple) else [named]
    return frozenset(int(token) for token in (*listed, tokenizer.eos_token_id) if token is not None)
