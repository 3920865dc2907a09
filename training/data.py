"""Training questions from a parquet file of the Openr1-Math-46k-8192 schema."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from core.prompts import Tokenizer, render_prompt
from training.config import TrainConfig
from training.question_order import spread
from training.tokens import decode, encode

logger = logging.getLogger(__name__)

COLUMNS = ("data_source", "prompt", "target", "ability", "reward_model", "extra_info")


@dataclass(frozen=True)
class Question:
    """One question of the training set, tokenised.

    Args:
        id: Position of its row in the training file, from 0 (nothing says that `extra_info.index` is unique).
        prompt: Token ids up to where the response begins.
        demonstration: Token ids of the teacher's response with its end-of-sequence token; None where the
            row has no target.
        answer: The gold answer, or several accepted forms of it.
        level: Difficulty (`extra_info.level`), or the question's source where the row tells none.
    """

    id: int
    prompt: tuple[int, ...]
    demonstration: tuple[int, ...] | None
    answer: str | tuple[str, ...]
    level: str | None = None


def _rows(source: str) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet

    if not source.endswith(".parquet"):
        import datasets

        table = datasets.load_dataset(source, split="train")
    elif not Path(source).is_file():
        raise FileNotFoundError(f"training data {source} does not exist")
    else:
        table = pyarrow.parquet.read_table(source)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise ValueError(
            f"{source}: column {missing[0]!r} is missing; it has {table.column_names}, the schema has "
            f"{list(COLUMNS)}"
        )
    yield from table.to_pylist() if isinstance(table, pyarrow.Table) else table


def _answer(value: object) -> str | tuple[str, ...]:
    """Return the gold answer as text; raise ValueError where there is none."""
    forms = value if isinstance(value, list | tuple) else [value]
    # A column of numbers holds NaN where a number is missing.
    texts = tuple(str(form).strip() for form in forms if form is not None and form == form)
    texts = tuple(text for text in texts if text)
    if not texts:
        raise ValueError("is null or empty")
    return texts[0] if len(texts) == 1 else texts


def _messages(prompt: object) -> list[Mapping[str, str]]:
    """Return the turns of a prompt without its system turn, as HPT trains."""
    turns = [turn for turn in prompt or () if turn["role"] != "system"]  # type: ignore[attr-defined]
    if not turns or not (turns[-1]["content"] or "").strip():
        raise ValueError("is empty: it needs a user turn with text")
    return turns


class _Row(NamedTuple):
    """A row of the training file that passed every check which needs no tokenizer."""

    messages: list[Mapping[str, str]]
    target: Sequence[Mapping[str, str]] | None
    answer: str | tuple[str, ...]
    level: str | None


def _checked_rows(source: str) -> Iterator[_Row]:
    """Yield the rows; raise ValueError naming file, row and column at the first that is bad."""
    index = -1
    for index, row in enumerate(_rows(source)):
        column = "prompt"
        try:
            messages = _messages(row["prompt"])
            column = "reward_model.ground_truth"
            answer = _answer((row["reward_model"] or {}).get("ground_truth"))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{source}: row {index}, column {column!r} {error}") from error
        level = (row["extra_info"] or {}).get("level") or row["data_source"]
        yield _Row(messages, row["target"], answer, None if level is None else str(level))
    if index < 0:
        raise ValueError(f"{source}: holds no rows")


def check_train_file(source: str) -> int:
    """Return how many questions a training file holds, after checking every row.

    Raises:
        ValueError: A column is missing, or a row has an empty prompt or no answer; the message names file,
            row (from 0) and column.
    """
    return sum(1 for _ in _checked_rows(source))


def _demonstration(
    target: Sequence[Mapping[str, str]] | None,
    prompt: str,
    tokenizer: Tokenizer,
    limit: int,
) -> tuple[int, ...] | None:
    if not target or not target[0]["content"]:
        return None
    text = target[0]["content"]
    if prompt.endswith("<think>\n"):
        text = text.removeprefix("<think>\n")
    tokens = encode(tokenizer, text)
    back = decode(tokenizer, tokens)
    if unicodedata.normalize("NFC", back) != unicodedata.normalize("NFC", text):
        raise ValueError(
            f"column 'target' reads back as {back[:200]!r} from the tokens of {tokenizer.name_or_path!r}, "
            f"which lacks characters of it"
        )
    # The end-of-sequence token is appended before the cut: a target at the limit loses it, as in HPT's code.
    return tuple([*tokens[:limit], tokenizer.eos_token_id][:limit])


def load_questions(source: str, tokenizer: Tokenizer, config: TrainConfig) -> tuple[Question, ...]:
    """Return the questions of a training file whose prompts are short enough; the log counts the rest.

    Raises:
        ValueError: The file fails `check_train_file`, the tokenizer cannot write a demonstration (what it
            wrote would be trained on instead), or fewer questions are left than one step asks.
    """
    rows = list(_checked_rows(source))  # a bad one is found before any is tokenised
    questions, too_long = [], 0
    for index, row in enumerate(rows):
        prompt = render_prompt(tokenizer, row.messages, config.prompt_template)
        ids = encode(tokenizer, prompt)
        if len(ids) > config.rollout.max_prompt_tokens:
            too_long += 1
            continue
        try:
            limit = config.rollout.max_response_tokens
            demonstration = _demonstration(row.target, prompt, tokenizer, limit)
        except ValueError as error:
            raise ValueError(f"{source}: row {index}, {error}") from error
        questions.append(
            Question(
                id=index,
                prompt=tuple(ids),
                demonstration=demonstration,
                answer=row.answer,
                level=row.level,
            )
        )
    questions = spread(questions, [question.level for question in questions], config.questions)
    if too_long:
        logger.warning(
            "%s: %d prompts are longer than %d tokens", source, too_long, config.rollout.max_prompt_tokens
        )
    if len(questions) < config.questions_per_step:
        raise ValueError(
            f"{source}: {len(questions)} questions are fewer than train.questions_per_step="
            f"{config.questions_per_step}"
        )
    return tuple(questions)
