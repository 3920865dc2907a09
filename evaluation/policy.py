"""What is evaluated: something that answers prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from evaluation.config import EvalConfig


class Generated(NamedTuple):
    """One sampled answer; `truncated` means it ended at the limit of its length, not by itself."""

    text: str
    tokens: int
    truncated: bool


class Generate(Protocol):
    """Sample one answer to each prompt.

    Equal prompts in one call are separate draws. The answers depend on the policy, the prompts,
    the settings and the seed alone. Temperature 0 is greedy.
    """

    def __call__(self, prompts: Sequence[str], settings: EvalConfig, seed: int, /) -> Sequence[Generated]:
        """Return the answers in the order of the prompts."""


class Policy(NamedTuple):
    """What is evaluated.

    Args:
        generate: How it answers.
        render: How it is asked: the prompt of one user turn, in its chat template.
        identity: What tells it from others, as JSON values; an evaluation goes on with the same one only.
    """

    generate: Generate
    render: Callable[[str], str]
    identity: Mapping[str, Any] = MappingProxyType({})


def batch_seed(seed: int, suite: str, batch: int) -> int:
    """Return the seed of one batch, in [0, 2^63)."""
    digest = hashlib.sha256(f"{seed}/{suite}/{batch}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
