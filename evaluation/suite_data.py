"""Files of questions: one JSON object a line, checked before anything is trained on a promise."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Question:
    """A question of a suite, as its data has it.

    Args:
        id: Its name, unique in the suite.
        problem: What is asked.
        golds: Every accepted form of the answer; the letter of an option where there are options.
        choices: The options of multiple choice, the first being A.
        subject: Field of the question, where the data tells.
        level: Difficulty, where the data tells.
    """

    id: str
    problem: str
    golds: tuple[str, ...]
    choices: tuple[str, ...] | None = None
    subject: str | None = None
    level: str | None = None


def read_questions(path: Path, gold: str | Sequence[str] = "answer") -> list[Question]:
    """Return the questions of a jsonl file.

    Args:
        path: The file; every row has `id`, `problem` and the gold column, and may have `choices`, `subject`
            and `level`; other columns are free.
        gold: Column of the answer: text, or a list of accepted forms. Of several columns the last must be
            there, the others may be missing or null, and all are accepted forms.

    Raises:
        ValueError: A row is unusable; the message names file, line and column.
    """
    columns = (gold,) if isinstance(gold, str) else tuple(gold)
    return [question for _, question in numbered(path, lambda row: to_question(row, columns))]


def numbered(path: Path, convert: Callable[[dict[str, Any]], Question]) -> list[tuple[int, Question]]:
    """Return the questions of a jsonl file with their lines' numbers, as an editor counts them.

    Raises:
        ValueError: A line is no object, `convert` refused it, or its id is that of another line.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file of questions")
    questions: list[tuple[int, Question]] = []
    lines: dict[str, int] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            question = convert(_parse(line))
            first = lines.setdefault(question.id, number)
            if first != number:
                raise ValueError(f"column id: {question.id!r} is already in line {first}")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        questions.append((number, question))
    if not questions:
        raise ValueError(f"{path}: no questions")
    return questions


def to_question(row: Mapping[str, Any], gold: Sequence[str]) -> Question:
    """Return a row of a file as a question.

    Raises:
        ValueError: A column is missing or holds what it must not.
    """
    for column in ("id", "problem", gold[-1]):
        if column not in row:
            raise ValueError(f"column {column} is missing; there are {', '.join(row) or 'none'}")
    for column in ("id", "problem"):
        _check_text(column, row[column])
    golds: list[str] = []
    for column in gold:
        if column == gold[-1] or row.get(column) is not None:
            golds += _forms(column, row[column])
    choices = _choices(row.get("choices"), golds)
    return Question(
        row["id"],
        row["problem"],
        tuple(dict.fromkeys(golds)),
        choices,
        _label(row, "subject"),
        _label(row, "level"),
    )


def _parse(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"not an object but {type(row).__name__}")
    return row


def _forms(column: str, value: object) -> list[str]:
    forms = value if isinstance(value, list) else [value]
    if not forms:
        raise ValueError(f"column {column} is an empty list")
    for form in forms:
        _check_text(column, form)
    return [str(form) for form in forms]


def _choices(value: object, golds: Sequence[str]) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 2 <= len(value) <= len(LETTERS):
        raise ValueError(
            f"column choices must be a list of 2 to {len(LETTERS)} options, not {json.dumps(value)}"
        )
    for option in value:
        _check_text("choices", option)
    letters = LETTERS[: len(value)]
    if len(golds) != 1 or golds[0] not in letters:
        raise ValueError(f"the answer to a choice among {len(value)} is one letter of {letters}, not {golds}")
    return tuple(value)


def _label(row: Mapping[str, Any], column: str) -> str | None:
    return None if row.get(column) is None else str(row[column])


def _check_text(column: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"column {column} must be text, not {json.dumps(value)}")
    if not value.strip():
        raise ValueError(f"column {column} is empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"column {column} holds half a surrogate pair: {error}") from error
