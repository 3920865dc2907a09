"""Demonstration prefixes: the tokens that a rollout is given to begin with."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from core.protocols import PrefixLength


def prefix_share(length: PrefixLength, progress: float, seed: int) -> float:
    """Return the share of its demonstration that a question's rollouts are given.

    It is drawn once for the question, so that all rollouts of the group that are given a prefix go on from
    the same place: their rewards are compared with each other.

    Args:
        length: How much is given.
        progress: Share of the stage's steps that are done.
        seed: Of the draw.

    Raises:
        ValueError: `length` returned a number outside [0, 1].
    """
    draw = torch.rand(1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    share = float(length(draw, progress)[0])
    if not 0.0 <= share <= 1.0:
        raise ValueError(
            f"{length!r} returned {share} at progress {progress}; the share of a demonstration that rollouts "
            "are given must be in [0, 1]"
        )
    return share


def opening(demonstration: Sequence[int], share: float, end: int, limit: int) -> tuple[int, ...]:
    """Return the first round(share · n) tokens of a demonstration that says n tokens before its end.

    Args:
        demonstration: Token ids.
        share: Of what it says, in [0, 1].
        end: The end-of-sequence token: neither given nor counted in n, so that it is left to be sampled.
        limit: Most tokens of a whole response; at least one of them is left to be sampled.
    """
    said = tuple(demonstration)
    said = said[: said.index(end)] if end in said else said
    return said[: min(round(share * len(said)), limit - 1)]
