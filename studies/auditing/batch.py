"""The rows of the audit: every token id occurs once, and no average equals another.

Responses have different lengths, questions different numbers of them; advantages have both signs; some rows
have no gradient; ratios lie within the clip and beyond it on both sides.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from training.responses import Response

PADDING, FILLER = 0, 1
"""Token ids of what `collate` pads with and of prompts before their last token: no response follows them."""

LOG_RATIOS = (0.05, -0.1, 0.5, 0.1, -0.5, -0.02, 0.15)
"""log π_θ/μ of the response tokens, in turn: within a clip of 0.2, and beyond it on both sides."""

_QUESTIONS: tuple[tuple[tuple[int, float, int], ...], ...] = (
    ((2, 1.0, 3), (2, 0.0, 13), (2, 0.0, 5), (2, 1.0, 2)),
    ((3, 0.0, 7), (3, 1.0, 1), (3, 0.0, 6)),
    ((4, 1.0, 4), (4, 1.0, 3)),
    ((2, 0.0, 2), (2, 0.0, 4)),
)
"""Rollouts of each question: prompt length, reward, response length. The last two have no advantage."""

_DEMONSTRATIONS = {0: 4, 1: 8, 3: 2}
"""Length of a question's demonstration."""

ACTIVE_ROWS = 10
"""Rows of one set that have a gradient."""


LARGE_VOCABULARY = 640
"""Token ids of the audit's models at least: the largest of the table's parts is then large to DeepSpeed."""
LARGE = 120_000
"""Entries of a parameter that DeepSpeed takes for large: by its default those of more than 100,000."""


def audit_rows(sets: int) -> list[Response]:
    """Return the rows of a step.

    Args:
        sets: How often the set of questions is repeated, with new token ids.
    """
    fresh = itertools.count(FILLER + 1)
    rows: list[Response] = []
    for question in range(sets * len(_QUESTIONS)):
        kind = question % len(_QUESTIONS)
        for prompt, reward, length in _QUESTIONS[kind]:
            rows.append(_row(fresh, question, prompt, length, reward=reward))
        if kind in _DEMONSTRATIONS:
            prompt = _QUESTIONS[kind][0][0]
            row = _row(fresh, question, prompt, _DEMONSTRATIONS[kind], reward=1.0)
            rows.append(dataclasses.replace(row, is_demonstration=True))
    return rows


def lone_rows(rows: Sequence[Response]) -> list[Response]:
    """Return the rows changed so that one of them alone has a gradient, a demonstration.

    All but one rank then have nothing to train on.
    """
    first = next(row for row in rows if row.is_demonstration)
    kept = [row for row in rows if not row.is_demonstration or row is first]
    return [dataclasses.replace(row, reward=0.0) for row in kept]


def token_ids(rows: Sequence[Response]) -> int:
    """Return how many token ids there are: the size of the table.

    There are more than the rows have: a table of theirs alone would be small enough for DeepSpeed to leave it
    whole at stage 3, and nothing would be gathered.
    """
    own = 1 + max(token for row in rows for token in (*row.prompt, *row.tokens))
    return max(own, LARGE_VOCABULARY)


def previous_tokens(rows: Sequence[Response]) -> Tensor:
    """Return the token before each response token, row by row."""
    return torch.tensor([token for row in rows for token in (row.prompt[-1], *row.tokens[:-1])])


def response_tokens(rows: Sequence[Response]) -> Tensor:
    """Return the response tokens, row by row."""
    return torch.tensor([token for row in rows for token in row.tokens])


def row_of_token(rows: Sequence[Response]) -> Tensor:
    """Return the row that each response token is in."""
    return torch.tensor([index for index, row in enumerate(rows) for _ in row.tokens])


def log_ratios(tokens: int) -> Tensor:
    """Return log π_θ/μ of as many response tokens."""
    return torch.tensor(list(itertools.islice(itertools.cycle(LOG_RATIOS), tokens)), dtype=torch.float64)


def _row(fresh: Iterator[int], question: int, prompt: int, length: int, *, reward: float) -> Response:
    ids = [next(fresh) for _ in range(1 + length)]
    return Response(question, (*[FILLER] * (prompt - 1), ids[0]), tuple(ids[1:]), False, reward)
