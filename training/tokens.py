"""Text and tokens, and the types that transformers has none for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from core.prompts import Tokenizer

CausalLM: TypeAlias = Any


def decode(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Return the text of token ids as it is: special tokens kept, no space tidied away."""
    return str(tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the token ids of a rendered text: nothing is added, no beginning-of-sequence either."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
