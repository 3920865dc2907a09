"""What the policy was asked in a step, what it answered, and what became of it: rows of rollouts.jsonl."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.prompts import Tokenizer
from training.answers import Rollout, response_text
from training.collect import Batch
from training.data import Question
from training.responses import Response
from training.row_use import RowUse
from training.tokens import decode

DEMONSTRATION = "demonstration"


def transcripts(
    batch: Batch, uses: Iterable[RowUse], questions: Mapping[int, Question], tokenizer: Tokenizer, limit: int
) -> list[dict[str, Any]]:
    """Return one record for each of the step's first questions, dropped ones included.

    A record has the question's id, its prompt and its accepted answers as text, and `responses`: each with
    text, reward, outcome of grading ("demonstration" for one), whether it was trained on, and the names of
    the terms that selected it (none: the row was left out, by a gate or by dynamic sampling).

    Args:
        batch: Of the step.
        uses: What became of the batch's rows.
        questions: The training set, by id.
        tokenizer: The policy's.
        limit: Most questions.
    """
    rows = [rollout.response for rollout in batch.rollouts]
    rows += [row for row in batch.responses if row.is_demonstration]
    chosen = list(dict.fromkeys(row.question for row in rows))[:limit]
    found = _Found(batch.rollouts, uses)
    return [
        {
            "question": each,
            "prompt": decode(tokenizer, questions[each].prompt),
            "answer": questions[each].answer,
            "responses": [found.record(row, tokenizer) for row in rows if row.question == each],
        }
        for each in chosen
    ]


_Key = tuple[int, bool, tuple[int, ...]]


def _key(row: Response) -> _Key:
    return row.question, row.is_demonstration, row.tokens


class _Found:
    """Looks rows up by what they are: a row may have been given a greedy baseline since it was sampled."""

    def __init__(self, rollouts: Sequence[Rollout], uses: Iterable[RowUse]) -> None:
        self._outcomes = {_key(rollout.response): rollout.outcome for rollout in rollouts}
        self._uses: dict[_Key, list[RowUse]] = {}
        for use in uses:
            self._uses.setdefault(_key(use.row), []).append(use)

    def record(self, row: Response, tokenizer: Tokenizer) -> dict[str, Any]:
        """Return the record of a response; equal ones take the uses in turn."""
        use = next(iter(self._uses.get(_key(row), [])), RowUse(row, (), False))
        if len(self._uses.get(_key(row), [])) > 1:
            self._uses[_key(row)].pop(0)
        return {
            "text": response_text(tokenizer, row.tokens),
            "reward": row.reward,
            "outcome": DEMONSTRATION if row.is_demonstration else self._outcomes[_key(row)],
            "trained": use.trained,
            "terms": list(use.terms),
        }
